"""Tails of Workers."""
