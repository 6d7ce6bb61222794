"""The state of one instance, and the one way to change it."""
