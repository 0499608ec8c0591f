"""The HTTP edge: routes, access, errors, and the stream of events."""
