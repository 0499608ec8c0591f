"""What may be a secret is in no `repr` of any dataclass or model of the program."""

import dataclasses
import pkgutil
import re
import warnings
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from pydantic import BaseModel

import reelhook

SECRET = re.compile(
    r"((.*_)?secrets?|(.*_)?tokens?|(.*_)?passwords?|previous|headers|parameters|.*_keys?|keys?"
    r"|urls?|.*_urls?)"
)
PUBLIC = {
    # Names of settings and columns, and ids of keys.
    *("BuiltInProvider.key_variable", "BuiltInProvider.base_url_variable", "SecretColumns.key"),
    *("Credential.key_variable", "SecretsSurvey.keys", "HttpOptions.public_keys"),
    # An idempotency key opens nothing.
    "IdempotencyKey.key",
    # Names of files in the archive.
    *("ArchivedFile.key", "ArchivedFile.poster_key", "ObjectInfo.key", "TargetObject.key"),
    "ObjectFinding.key",
    "ArchivedObject.key",
    # Addresses of servers and of this program.
    *("Running.url", "Receiver.url", "HttpOptions.public_url", "CallbackAddresses.public_url"),
    "FileAddresses.public_url",
    "Credential.base_url",
    # Their own `repr` shows nothing.
    *(
        "Endpoint.project_secrets",
        "Signing.secrets",
        "Signing.private_keys",
        "HttpOptions.check_url",
    ),
    # The result of a command, about a URL that its user named.
    "UrlVerdict.url",
    # Headers of a file, without cookies.
    *("Content.headers", "FileDownload.headers"),
    # Ids of sums in budgets, and what is known of a key: neither has a text that opens anything.
    *("BudgetNotice.key", "Demand.key", "SumChange.key", "KeyGrant.key", "Gateway.keys"),
    # Headers of responses.
    *("AccessRefusal.headers", "Admission.headers", "RateState.headers"),
    # A key of the keyboard.
    "NavItem.key",
    # Flags.
    *("ServerFacts.image_urls", "RequestCredential.until_key"),
    *("SentAttempt.own_secret", "SentBody.own_secret"),
    # Places in a queue.
    "Head.keys",
}
SIMULATED = "reelhook.simulator."
SERVER_URL = re.compile(r"\w*Settings\.(\w+_base_url|public_url|url)")


def modules() -> Iterator[Any]:
    """Import every module that can be imported."""
    for found in pkgutil.walk_packages(reelhook.__path__, "reelhook."):
        if ".migrations." not in found.name and not found.name.endswith("__main__"):
            with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
                yield import_module(found.name)


def shown() -> Iterator[str]:
    """Return the fields that a `repr` shows, as `Class.field`; of responses only their secrets."""
    for module in list(modules()):
        for kind in vars(module).values():
            if not isinstance(kind, type) or kind.__module__ != module.__name__:
                continue
            name = kind.__name__.removeprefix("_")
            if kind.__module__.startswith(SIMULATED):
                continue
            if dataclasses.is_dataclass(kind) and "__repr__" in vars(kind):
                yield from (
                    f"{name}.{field.name}" for field in dataclasses.fields(kind) if field.repr
                )
            elif issubclass(kind, BaseModel):
                fields = kind.model_fields.items()
                names = [field for field, described in fields if described.repr]
                if name.endswith("Response"):
                    names = [field for field in names if "secret" in field]
                yield from (f"{name}.{field}" for field in names)


@pytest.fixture(scope="module")
def fields() -> set[str]:
    return set(shown())


def test_no_field_that_may_be_a_secret_is_in_a_repr(fields: set[str]) -> None:
    suspicious = {
        field
        for field in fields
        if SECRET.fullmatch(field.partition(".")[2]) and not SERVER_URL.fullmatch(field)
    }
    assert suspicious <= PUBLIC, suspicious - PUBLIC


def test_every_exception_is_one(fields: set[str]) -> None:
    assert fields >= PUBLIC, PUBLIC - fields
