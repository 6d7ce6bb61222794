"""The command line, and the client's view of a running instance."""
