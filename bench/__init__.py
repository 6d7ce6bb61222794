"""The benchmark: this task runner beside the Worker that it began as, and beside what teams would use instead."""
