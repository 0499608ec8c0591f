"""A released revision never changes: databases that have it would differ from new ones."""

from hashlib import sha256
from pathlib import Path

import pytest

from reelhook.storage.schema.migrations import versions

RELEASED = {
    "0001_core": "baf55561d3cce37a",
    "0002_tracking": "0d17fc4d20933176",
    "0003_endpoints": "674a66160e2cfee7",
    "0004_workers": "bf3999ddbc641e47",
    "0005_shared": "9d9e6eae48d69601",
    "0006_models": "82b5de37f6b2cd58",
    "0007_listings": "f12fd9a249762bfa",
    "0008_next_at": "e2e3ebdce4e76a47",
    "0009_commits": "0525618f56811ddf",
    "0011_waits": "17c987bae96c3b96",
    "0012_responses": "e08f288d00e9ac12",
    "0013_servers": "01b1bc03c1e503b2",
    "0014_forgotten": "9fd3ef53dda5af57",
    "0015_projects": "1603f8109ffe7812",
    "0016_doors": "72986ccefbf7aedf",
}
"""The beginning of each one's SHA-256. A new revision gets its line when it is released."""


@pytest.mark.parametrize("name", RELEASED)
def test_a_released_revision_is_unchanged(name: str) -> None:
    (folder,) = versions.__path__
    found = sha256((Path(folder) / f"{name}.py").read_bytes()).hexdigest()
    assert found.startswith(RELEASED[name]), f"put the change into a new revision, not into {name}"
