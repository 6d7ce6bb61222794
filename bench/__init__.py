"""The benchmark: it compares this task runner with the Worker from which it started, and with common alternatives."""
