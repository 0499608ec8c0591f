"""The guard: which addresses, named by somebody else, may be dialled.

It judges a URL by itself (`target`, `addresses`), the addresses that its name resolves to, and once
more the address of the socket (`connection`). Webhooks and finished files go through it.
"""
