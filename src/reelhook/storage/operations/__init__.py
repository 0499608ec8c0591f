"""Reads and writes as statements, the same for both databases."""
