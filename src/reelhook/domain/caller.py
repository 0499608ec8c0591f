"""The caller of a use case: the project that it acts in, and its permissions there."""

from dataclasses import dataclass, replace
from enum import StrEnum

from reelhook.domain.errors import ReelhookError

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
class Caller:
    """Anyone who uses reelhook: a program, a client with a key, a provider.

    It creates in `project`. `key_id` None: it has no key of a project. `models` are the only ones
    that it may name; None: all. `chosen`: the operator named the project. `by_address`: it holds
    the address of one job, whichever project that is in.
    """

    project: str
    scopes: frozenset[Scope]
    key_id: str | None = None
    models: tuple[str, ...] | None = None
    chosen: bool = False
    by_address: bool = False

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

    def check_model(self, display_name: str) -> None:
        """Raise `ModelNotAllowedError` unless the caller may use a model.

        `display_name` is that of the model's route, so an alias can't lead around the list.
        """
        if self.models is not None and display_name not in self.models:
            raise ModelNotAllowedError(display_name, self.models)


OPERATOR = Caller(DEFAULT_PROJECT, frozenset({Scope.OPERATOR}))
"""The operator, or the program that reelhook is embedded in."""
PROVIDER = Caller(DEFAULT_PROJECT, frozenset({Scope.OPERATE}), by_address=True)
"""A provider that calls a callback address: its job is read, or adopted."""
DOWNLOADER = Caller(DEFAULT_PROJECT, frozenset({Scope.READ}), by_address=True)
"""The holder of a signed link to one video."""
ANONYMOUS = Caller(DEFAULT_PROJECT, frozenset())
"""Anyone: a health check, a browser that reads the documentation."""
