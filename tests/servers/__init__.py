"""The vendors' own servers of `/v1/videos`, run with their engines replaced: `make check-servers`.

`start_*` and what they import run in `.venv-servers`, each in a process of its own; the others run
beside reelhook in `.venv`.
"""
