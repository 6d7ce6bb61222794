"""Cloudflare's REST API over the state of this machine: one file a product, each with its table of routes."""
