"""The composition root: the only place that knows every room, and builds the program from them."""

from reelhook.bootstrap.accounts import simulated
from reelhook.bootstrap.copying import copy, reopen
from reelhook.bootstrap.database import (
    callback_url,
    migrate,
    operator_key,
    rollback,
    webhook_secret,
)
from reelhook.bootstrap.doctor import Finding, examine
from reelhook.bootstrap.program import open  # noqa: A004 - read as reelhook.open
from reelhook.bootstrap.serving import Running, serve, serving, simulating, work

__all__ = [
    "Finding",
    "Running",
    "callback_url",
    "copy",
    "examine",
    "migrate",
    "open",
    "operator_key",
    "reopen",
    "rollback",
    "serve",
    "serving",
    "simulated",
    "simulating",
    "webhook_secret",
    "work",
]
