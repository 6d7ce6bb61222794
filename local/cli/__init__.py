"""The command line, and a running instance seen from outside."""
