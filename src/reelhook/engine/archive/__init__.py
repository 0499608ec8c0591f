"""The archive: fetches the files of completed jobs from their providers, and keeps them."""
