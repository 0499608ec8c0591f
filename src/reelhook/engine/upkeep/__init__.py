"""Loops that keep the database in order."""
