"""Reads the status of jobs from providers."""
