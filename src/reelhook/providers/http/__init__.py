"""Shared parts of the adapters for providers with an HTTP API."""
