"""Static assets of Workers."""
