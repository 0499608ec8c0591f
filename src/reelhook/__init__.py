"""reelhook: a self-hosted gateway for AI video jobs."""

__version__ = "0.1.0"
