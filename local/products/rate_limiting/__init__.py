"""Rate limiting of Workers."""
