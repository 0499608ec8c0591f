"""A project: the owner of jobs, endpoints, keys and budgets. It sees nothing of the others."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from reelhook.domain.caller import DEFAULT_PROJECT
from reelhook.domain.encryption import is_encrypted
from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.event import Instant
from reelhook.domain.problem import Problem

PROJECT_ID_PREFIX = "prj"
"""The prefix of all ids but `default`. No name begins with it and an underscore."""
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_NAME_IN_WORDS = (
    "1 to 64 letters, digits, dots, hyphens and underscores, beginning with a letter or a digit"
)
MODELS_MAX = 100
MODEL_CHARACTERS_MAX = 200
WEIGHT_MAX = 1000
PRIORITY_MIN, PRIORITY_MAX = -1, 1
"""The lowest and the highest priority that a project may be allowed."""
KEEP_DAYS_MIN, KEEP_DAYS_MAX = 1, 36_500
ARCHIVE_BYTES_MAX = 10**6 * 1024**3


@dataclass(frozen=True, slots=True)
class SigningSecrets:
    """The secrets that sign webhooks; `previous` also signs until `previous_until`."""

    secret: str = field(repr=False)
    previous: str | None = field(default=None, repr=False)
    previous_until: Instant | None = None

    def honoured_previous(self, now: Instant) -> str | None:
        """Return the previous secret while it also signs."""
        until = self.previous_until
        return self.previous if until is not None and now < until else None


@dataclass(frozen=True, slots=True)
class Project:
    """A project.

    `secret` signs the webhooks of its default endpoint and of its jobs' own URLs; None: the
    installation's secret does. `models` are the only ones that it may use; None: all. `weight` is
    its share of an account's free slots. `priority_max` is the highest priority of its jobs.
    `delete_data`: its data is removed once everything in it has ended; it was at `data_deleted_at`.
    `archive_keep_days` is the age at which its archived files are removed; None: the archive's.
    `archive_bytes_max` is the most that they may have together; None: no limit of its own.
    """

    id: str
    name: str
    created_at: Instant
    closed_at: Instant | None = None
    delete_data: bool = False
    secret: str | None = field(default=None, repr=False)
    previous_secret: str | None = field(default=None, repr=False)
    previous_until: Instant | None = None
    webhook_url: str | None = field(default=None, repr=False)
    models: tuple[str, ...] | None = None
    weight: int = 1
    priority_max: int = PRIORITY_MAX
    data_deleted_at: Instant | None = None
    archive_keep_days: float | None = None
    archive_bytes_max: int | None = None

    @property
    def secrets(self) -> tuple[str | None, str | None]:
        """The secret that signs, and the previous one."""
        return self.secret, self.previous_secret

    @property
    def locked(self) -> bool:
        """True if its secrets are still encrypted: this process lacks their key."""
        return any(text is not None and is_encrypted(text) for text in self.secrets)

    def rotated(self, secret: str, now: Instant, overlap_milliseconds: int) -> "Project":
        """Sign with a new secret, and for a while with the current one as well."""
        return replace(
            self,
            secret=secret,
            previous_secret=self.secret,
            previous_until=now + overlap_milliseconds,
        )

    def closed(self, now: Instant, *, delete_data: bool) -> "Project":
        """Accept no new jobs. A project that is closed stays so, but its data may go later."""
        return replace(
            self,
            closed_at=self.closed_at or now,
            delete_data=self.delete_data or delete_data,
        )


DEFAULT = Project(DEFAULT_PROJECT, DEFAULT_PROJECT, 0)
"""The project that always exists, before anything of it is set."""


def may_exist(id_or_name: str) -> bool:
    """Return True unless no project can have this id or name, such as one with a NUL character."""
    return re.fullmatch(NAME, id_or_name) is not None


def check_name(name: str) -> None:
    """Raise `InvalidRequestError` unless a project may have this name."""
    if not may_exist(name):
        raise InvalidRequestError("name", Problem.FORM, form=_NAME_IN_WORDS)
    if name == DEFAULT_PROJECT or name.startswith(f"{PROJECT_ID_PREFIX}_"):
        raise InvalidRequestError("name", Problem.RESERVED, value=name)


def check_limits(weight: int | None, priority_max: int | None) -> None:
    """Raise `InvalidRequestError` unless a project may have these limits. None: not given."""
    for name, value, least, most in (
        ("weight", weight, 1, WEIGHT_MAX),
        ("priority_max", priority_max, PRIORITY_MIN, PRIORITY_MAX),
    ):
        if value is not None and not least <= value <= most:
            raise InvalidRequestError(name, Problem.RANGE, least=least, most=most)


def check_archive_limits(keep_days: float | None, bytes_max: int | None) -> None:
    """Raise `InvalidRequestError` unless a project may have these limits. None: not given."""
    if keep_days is not None and not KEEP_DAYS_MIN <= keep_days <= KEEP_DAYS_MAX:
        least, most = KEEP_DAYS_MIN, KEEP_DAYS_MAX
        raise InvalidRequestError("archive_keep_days", Problem.RANGE, least=least, most=most)
    if bytes_max is not None and not 1 <= bytes_max <= ARCHIVE_BYTES_MAX:
        raise InvalidRequestError(
            "archive_bytes_max", Problem.RANGE, least=1, most=ARCHIVE_BYTES_MAX
        )


def check_models(models: Sequence[str]) -> None:
    """Raise `InvalidRequestError` for a list of allowed models that can't be stored."""
    if not models:
        raise InvalidRequestError("models", Problem.EMPTY)
    if len(models) > MODELS_MAX:
        raise InvalidRequestError("models", Problem.TOO_MANY, limit=MODELS_MAX)
    for number, model in enumerate(models):
        if not model:
            raise InvalidRequestError(f"models.{number}", Problem.EMPTY)
        if len(model) > MODEL_CHARACTERS_MAX:
            raise InvalidRequestError(
                f"models.{number}", Problem.TOO_LONG, limit=MODEL_CHARACTERS_MAX
            )
