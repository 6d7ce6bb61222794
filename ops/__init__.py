"""What an operator types and a program imports: a client of the task runner's API, and the commands built on it."""
