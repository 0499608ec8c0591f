"""SQLite: one file, owned by one process."""
