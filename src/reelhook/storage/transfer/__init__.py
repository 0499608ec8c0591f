"""Copies a database to another database, or to a backup file."""
