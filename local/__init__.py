"""Cloudflare on this machine: its REST API in front of a real workerd, and a deploy without the Pulumi CLI."""
