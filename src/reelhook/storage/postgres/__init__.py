"""PostgreSQL, for one process or many workers."""
