"""The ways into reelhook: each translates between its clients and the gateway."""
