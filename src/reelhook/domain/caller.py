"""The caller of a use case: the project that it acts in, and its permissions there."""

from dataclasses import dataclass, replace
from enum import StrEnum

from reelhook.domain.errors import ReelhookError
from reelhook.domain.event import Instant

DEFAULT_PROJECT = "default"


class Scope(StrEnum):
    """A permission. Each includes those before it."""

    READ = "read"
    """Status, lists, downloads and streams."""
    SUBMIT = "submit"
    """Create and cancel jobs."""
    OPERATE = "operate"
    """Manage endpoints, resend, adopt and abandon, check a job now."""
    ADMIN = "admin"
    """Everything of one project."""
    OPERATOR = "operator"
    """The whole installation: accounts, statistics, pausing. No project's key has this scope."""


class Actor(StrEnum):
    """The kind of a caller, as the audit trail names it."""

    OPERATOR = "operator"
    """The operator's key, or no key where none is needed."""
    OPERATOR_PROOF = "operator_proof"
    """The operator, who has proven that it can read the database."""
    KEY = "key"
    """A key of a project."""
    PROVIDER = "provider"
    """A provider that called a callback address."""


_INCLUDING = {scope: frozenset(list(Scope)[rank:]) for rank, scope in enumerate(Scope)}
"""The scopes that include a scope; itself is one of them."""


class ScopeMissingError(ReelhookError):
    """The caller may not do this because it lacks `scope`."""

    code = "scope_missing"

    def __init__(self, scope: Scope) -> None:
        super().__init__(
            f"This needs the scope {scope.value}, which the caller does not have",
            problem="operator_only" if scope is Scope.OPERATOR else None,
            facts={"scope": scope.value},
        )
        self.scope = scope


class ModelNotAllowedError(ReelhookError):
    """The caller's key, or its project, may not use this model."""

    code = "model_not_allowed"

    def __init__(self, model: str, allowed: tuple[str, ...]) -> None:
        names = ", ".join(allowed) or "none"
        super().__init__(
            f"{model} is not allowed here; the allowed models are {names}",
            facts={"model": model, "allowed": allowed},
        )


@dataclass(frozen=True, slots=True)
class Rate:
    """A limit of requests within a window of time."""

    requests: int
    window_seconds: int

    def within(self, most: "Rate") -> bool:
        """Return True if this limit of the same window is no weaker."""
        return self.window_seconds == most.window_seconds and self.requests <= most.requests


@dataclass(frozen=True, slots=True)
class Caller:
    """Anyone who uses reelhook: a program, a client with a key, a provider.

    It creates in `project`. `key_id` None: it has no key of a project. `models` are the only ones
    that it may name; None: all. `chosen`: the operator named the project. `by_address`: it holds
    the address of one job, whichever project that is in. `proven`: it has proven that it can read
    the database. `address` is the client's; `local`: an embedding program. `expires_at` is the end
    of the text by which its key was found, and `rates` are those of the key.
    """

    project: str
    scopes: frozenset[Scope]
    key_id: str | None = None
    models: tuple[str, ...] | None = None
    chosen: bool = False
    by_address: bool = False
    key_name: str | None = None
    proven: bool = False
    address: str | None = None
    expires_at: Instant | None = None
    rates: tuple[Rate, ...] = ()

    @property
    def actor(self) -> Actor:
        """The kind of this caller."""
        if self.key_id is not None:
            return Actor.KEY
        if Scope.OPERATOR not in self.scopes:
            return Actor.PROVIDER
        return Actor.OPERATOR_PROOF if self.proven else Actor.OPERATOR

    @property
    def sees(self) -> str | None:
        """The only project whose things it sees; None: all projects.

        The operator sees all of them, unless it has chosen one.
        """
        all_projects = Scope.OPERATOR in self.scopes and not self.chosen
        return None if all_projects or self.by_address else self.project

    def may_see(self, project: str) -> bool:
        """Return True if it sees what belongs to this project."""
        return self.sees in {None, project}

    def within(self, project: str) -> "Caller":
        """Return the operator as it acts in one project."""
        return replace(self, project=project, chosen=True)

    def allows(self, scope: Scope) -> bool:
        """Return True if the caller has this scope, or one that includes it."""
        return not self.scopes.isdisjoint(_INCLUDING[scope])

    def require(self, scope: Scope) -> None:
        """Raise `ScopeMissingError` unless the caller has this scope."""
        if not self.allows(scope):
            raise ScopeMissingError(scope)

    def allows_model(self, display_name: str) -> bool:
        """Return True if the caller may use the model of this route."""
        return self.models is None or display_name in self.models

    def check_model(self, display_name: str) -> None:
        """Raise `ModelNotAllowedError` unless the caller may use a model.

        `display_name` is that of the model's route, so an alias can't lead around the list.
        """
        if self.models is not None and not self.allows_model(display_name):
            raise ModelNotAllowedError(display_name, self.models)


OPERATOR = Caller(DEFAULT_PROJECT, frozenset({Scope.OPERATOR}), address="local")
"""The operator, or the program that reelhook is embedded in."""
PROVIDER = Caller(DEFAULT_PROJECT, frozenset({Scope.OPERATE}), by_address=True)
"""A provider that calls a callback address: its job is read, or adopted."""
DOWNLOADER = Caller(DEFAULT_PROJECT, frozenset({Scope.READ}), by_address=True)
"""The holder of a signed link to one video."""
ANONYMOUS = Caller(DEFAULT_PROJECT, frozenset())
"""Anyone: a health check, a browser that reads the documentation."""
