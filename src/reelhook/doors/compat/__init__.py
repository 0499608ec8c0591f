"""The API, the functions and the payload that reelhook's first client was written for."""
