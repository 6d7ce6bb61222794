"""Zones, with the routes and custom domains of Workers."""
