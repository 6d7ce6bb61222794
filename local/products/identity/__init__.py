"""Users, accounts and tokens."""
