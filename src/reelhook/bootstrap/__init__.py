"""The composition root: the only place that knows every room, and builds the program from them."""

from reelhook.bootstrap.accounts import simulated
from reelhook.bootstrap.backup import back_up, restored
from reelhook.bootstrap.copying import copy, reopen
from reelhook.bootstrap.database import (
    callback_url,
    migrate,
    operator_key,
    rollback,
    webhook_secret,
)
from reelhook.bootstrap.doctor import Finding, examine
from reelhook.bootstrap.doctor.orphans import find_orphans
from reelhook.bootstrap.program import open  # noqa: A004 - read as reelhook.open
from reelhook.bootstrap.serving import Running, serve, serving, simulating, work

__all__ = [
    "Finding",
    "Running",
    "back_up",
    "callback_url",
    "copy",
    "examine",
    "find_orphans",
    "migrate",
    "open",
    "operator_key",
    "reopen",
    "restored",
    "rollback",
    "serve",
    "serving",
    "simulated",
    "simulating",
    "webhook_secret",
    "work",
]
