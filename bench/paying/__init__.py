"""Paid calls that go wrong, by every adapter, and workers that are killed meanwhile."""
