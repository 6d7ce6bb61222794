"""Workers Analytics Engine."""
