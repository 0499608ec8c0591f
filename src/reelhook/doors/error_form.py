"""The form of a door's errors: its body, its names of fields, and its sentences.

A refusal that happens before any route, such as that of a wrong key, takes the form of its path.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.responses import Response
from starlette.types import Scope

from reelhook.domain.errors import Fact
from reelhook.domain.problem import Problem
from reelhook.doors.access import route_path
from reelhook.doors.request_messages import SENTENCES, WIRE_NAMES


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """An error of a request. `field` is the door's name of the field that is wrong.

    The message may quote text from outside, with lone surrogates, which JSON can't carry.
    """

    status: int
    message: str
    code: str
    field: str | None = None
    problem: str | None = None
    facts: Mapping[str, Fact] = dataclasses.field(default_factory=dict)
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", self.message.encode(errors="replace").decode())


@dataclass(frozen=True, slots=True)
class ErrorForm:
    """The form of one door's errors.

    `names` are its names of fields, and `sentences` its messages about them, where they differ from
    the domain's. By default both are those of reelhook's own API.
    """

    respond: Callable[[ErrorReply], Response]
    names: Mapping[str, str] = dataclasses.field(default_factory=lambda: WIRE_NAMES)
    sentences: Mapping[Problem, str] = dataclasses.field(default_factory=lambda: SENTENCES)


PAGE = "reelhook.page"
"""The key under which the guard stores in a scope that its path is one of a page."""


class ErrorForms:
    """The forms by the beginning of the path; `default` for all other paths.

    `of_page` returns the form for a request of a page.
    """

    def __init__(
        self,
        default: ErrorForm,
        forms: Mapping[str, ErrorForm],
        of_page: Callable[[Scope], ErrorForm],
    ) -> None:
        self._default = default
        self._of_page = of_page
        self._forms = tuple(forms.items())

    def of(self, scope: Scope) -> ErrorForm:
        """Return the form for a request."""
        if scope.get(PAGE):
            return self._of_page(scope)
        path = route_path(scope)
        for prefix, form in self._forms:
            if path == prefix or path.startswith(f"{prefix}/"):
                return form
        return self._default
