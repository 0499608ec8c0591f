"""Loops that keep the database and its processes in order."""
