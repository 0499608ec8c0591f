"""The causes that hold up jobs, webhooks and files: a closed list, decided by pure functions."""
