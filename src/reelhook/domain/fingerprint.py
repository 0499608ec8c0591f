"""Fingerprints, which identify servers and credentials without storing them."""

import json
from collections.abc import Mapping
from hashlib import sha256

_CHARACTERS = 16


def fingerprint(server: str, credential: Mapping[str, str]) -> str:
    """Return a hash of the server, a dot, and a hash of the headers with the credential."""
    return f"{_hash(server)}.{_hash(json.dumps(sorted(credential.items())))}"


def server_of(fingerprint: str) -> str:
    """Return the part of a fingerprint that identifies the server."""
    return fingerprint.partition(".")[0]


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:_CHARACTERS]
