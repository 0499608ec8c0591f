"""Projects in the store."""

from reelhook.domain.project import DEFAULT
from reelhook.storage.store import Store


async def test_default_exists_without_a_row(store: Store) -> None:
    assert await store.project("default") == DEFAULT
    assert await store.projects() == [DEFAULT]


async def test_an_unknown_project_is_none(store: Store) -> None:
    assert await store.project("prj_unknown") is None
    assert await store.project("default", seen_by="prj_other") is None
