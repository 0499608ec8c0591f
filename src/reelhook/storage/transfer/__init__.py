"""Copies of a database: to another database, and to a backup file."""
