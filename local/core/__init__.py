"""The state of one instance, and the only way to change it."""
