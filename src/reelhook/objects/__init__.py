"""Keeps files as objects, in a folder or in a bucket."""
