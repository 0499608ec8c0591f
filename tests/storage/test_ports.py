"""The store and the ports: each public method of the store is one that a port promises."""

import inspect
from dataclasses import fields

import pytest

from reelhook import ports
from reelhook.domain.breaker import CircuitBreaker
from reelhook.domain.delivery import Delivery
from reelhook.domain.endpoint import Endpoint
from reelhook.domain.job import Job
from reelhook.domain.request import VideoRequest
from reelhook.storage.operations import rows
from reelhook.storage.store import Store

STORES = [
    getattr(ports, name)
    for name in ports.__all__
    if name.endswith("Store") or name in {"Recorder", "JobReads", "JobWrites"}
]


def methods_of(one: type) -> set[str]:
    return {name for name, value in inspect.getmembers(one, callable) if not name.startswith("_")}


def test_every_method_of_the_store_is_in_a_port() -> None:
    assert methods_of(Store) == set().union(*map(methods_of, STORES))


@pytest.mark.parametrize("port", STORES, ids=lambda port: port.__name__)
def test_a_port_documents_each_of_its_methods(port: type) -> None:
    for name in methods_of(port):
        assert inspect.getdoc(getattr(port, name))


async def test_a_declared_method_passes_its_arguments_on(store: Store) -> None:
    assert await store.jobs_to_submit("acme", 1, limit=2) == ([], None)
    assert await store.key("name", made="first") == "first"
    assert await store.key(name="name", made="second") == "first"


def test_every_field_that_is_stored_has_its_column() -> None:
    """Columns follow the fields, so a new field needs a migration."""
    for stored, columns, derived in (
        (Job, rows.STATE_COLUMNS, set[str]()),
        (Delivery, rows.DELIVERY_COLUMNS, set[str]()),
        (
            Endpoint,
            set(rows.ENDPOINT_COLUMNS) - {"after_end_events"},  # the rest of `events`
            {"health", "project_secrets"},
        ),
        (CircuitBreaker, rows.HEALTH_COLUMNS, {"window"}),
    ):
        assert {field.name for field in fields(stored)} - derived == set(columns)
    # The prompt and the door's fields are in the columns of the first client's names.
    named = {*rows.REQUEST_COLUMNS, "prompt", "door_fields", "options"}
    assert {field.name for field in fields(VideoRequest)} - {"model"} <= named
