"""The routes of reelhook's own API."""
