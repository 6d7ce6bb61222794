"""Workers KV."""
