"""Durable Objects."""
