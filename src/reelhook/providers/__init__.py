"""The adapters, a package for each provider; `http` has their shared parts, `registry` the list."""
