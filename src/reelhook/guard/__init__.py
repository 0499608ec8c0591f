"""The guard: protection against requests to private addresses (SSRF).

It checks a URL (`target`, `addresses`), the addresses to which its name resolves (`resolver`), and
again the address of the socket (`connection`). Webhooks and finished files are sent and fetched
through it.
"""
