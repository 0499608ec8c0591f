"""Copies of a database: into another one, and into a file."""
