"""Measures reelhook from outside, as a user runs it; see README.md."""
