"""The composition root: the only package that knows every other, and builds the program."""

from reelhook.bootstrap import archived
from reelhook.bootstrap.accounts import check_accounts, simulated_accounts
from reelhook.bootstrap.backup import back_up, restored
from reelhook.bootstrap.components import Components, build_components
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
from reelhook.bootstrap.encryption import open_secrets
from reelhook.bootstrap.program import open  # noqa: A004 - read as reelhook.open
from reelhook.bootstrap.running import run_server, run_worker
from reelhook.bootstrap.serving import Running, server
from reelhook.bootstrap.simulating import simulator

__all__ = [
    "Components",
    "Finding",
    "Running",
    "archived",
    "back_up",
    "build_components",
    "callback_url",
    "check_accounts",
    "copy",
    "examine",
    "find_orphans",
    "migrate",
    "open",
    "open_secrets",
    "operator_key",
    "reopen",
    "restored",
    "rollback",
    "run_server",
    "run_worker",
    "server",
    "simulated_accounts",
    "simulator",
    "webhook_secret",
]
