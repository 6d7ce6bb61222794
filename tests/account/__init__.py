"""The suite for a real Cloudflare account: `python -m tests.account`."""
