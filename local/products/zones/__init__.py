"""Zones, with the routes and custom domains that Workers have in them."""
