"""Which programs may use a database with which schema, at the same time as others."""

from collections.abc import Callable, Iterable

FIRST_WITH_OLDEST = "0015"
"""The first schema in which `alembic_version` has the oldest schema whose programs may use it."""
EARLIER_MAY_RUN = {
    "0001": True,
    "0002": False,
    "0003": False,
    "0004": True,
    "0005": False,
    "0006": False,
    "0007": False,
    "0008": False,
    "0009": True,
    "0011": True,
    "0012": True,
    "0013": True,
    "0014": True,
}
"""For each revision before 0015: True if processes of the previous version may run at the same
time. Later revisions say so themselves, in `previous_may_run`."""


def number_of(name: str) -> str:
    """Return the number of a revision, `0001` of `0001_core`."""
    return name.partition("_")[0]


def previous_may_run(name: str, declared: Callable[[str], bool]) -> bool:
    """Return True if processes of the version before this revision may run at the same time.

    `declared` returns what a revision itself says.
    """
    earlier = EARLIER_MAY_RUN.get(number_of(name))
    return declared(name) if earlier is None else earlier


def oldest_of(applied: Iterable[str], declared: Callable[[str], bool]) -> str:
    """Return the oldest schema whose programs may use a database with these revisions."""
    oldest = ""
    for name in applied:
        if not oldest or not previous_may_run(name, declared):
            oldest = number_of(name)
    return oldest


def may_use(own: str, schema: str, oldest: str) -> bool:
    """Return True if a program of the schema `own` may use a database.

    `schema` is the database's, and `oldest` the one stored with it.
    """
    return schema == own or (schema.isdecimal() and oldest <= own < schema)
