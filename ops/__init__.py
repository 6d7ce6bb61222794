"""The operator's tools: a client of the task runner's API, and the commands of ``python -m ops`` built on it."""
