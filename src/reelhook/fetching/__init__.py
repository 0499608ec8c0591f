"""Fetches the images, videos and sounds that requests name by their addresses."""
