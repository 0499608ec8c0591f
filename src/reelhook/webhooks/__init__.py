"""Webhooks: where they may go (`addresses`, `target`, `networks`) and how they go (`sender`)."""
