"""The API, the functions and the webhook payload for which reelhook's first client was written."""
