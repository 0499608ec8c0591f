"""What adapters of providers with an HTTP API share."""
