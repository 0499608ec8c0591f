"""Delivering webhooks, measured from outside against a bare HTTP client; see ../README.md."""
