"""The use cases: everything that clients, the command line and embedding programs can do."""
