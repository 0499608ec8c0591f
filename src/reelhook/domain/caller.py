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


_RANK = {scope: rank for rank, scope in enumerate(Scope)}


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
    that it may name; None: all. `chosen`: the operator named the project.
    """

    project: str
    scopes: frozenset[Scope]
    key_id: str | None = None
    models: tuple[str, ...] | None = None
    chosen: bool = False

    @property
    def sees(self) -> str | None:
        """The only project whose things it sees; None: all projects.

        The operator sees all of them, unless it has chosen one.
        """
        return None if Scope.OPERATOR in self.scopes and not self.chosen else self.project

    def within(self, project: str) -> "Caller":
        """Return the operator as it acts in one project."""
        return replace(self, project=project, chosen=True)

    def allows(self, scope: Scope) -> bool:
        """Return True if the caller has this scope, or one that includes it."""
        return any(_RANK[held] >= _RANK[scope] for held in self.scopes)

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
PROVIDER = Caller(DEFAULT_PROJECT, frozenset({Scope.OPERATE}))
"""A provider that calls a callback address: its job is read, or adopted."""
DOWNLOADER = Caller(DEFAULT_PROJECT, frozenset({Scope.READ}))
"""The holder of a signed link to one video."""
ANONYMOUS = Caller(DEFAULT_PROJECT, frozenset())
"""Anyone: a health check, a browser that reads the documentation."""
