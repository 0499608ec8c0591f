"""Advice for a refused request: models that can fulfil it, or names that were probably meant."""

from collections.abc import Callable, Iterator
from difflib import get_close_matches
from itertools import islice, zip_longest

from reelhook.domain.catalog import Catalog, ModelRoute
from reelhook.domain.errors import Fact, InvalidRequestError
from reelhook.domain.problem import Problem
from reelhook.domain.request import VideoRequest

NAMED_MAX = 5
"""The most models that one refusal names."""
_SIMILAR_MAX = 3
_SIMILARITY_MIN = 0.6


def advised(
    error: InvalidRequestError,
    request: VideoRequest,
    catalog: Catalog,
    allows: Callable[[str], bool],
) -> InvalidRequestError:
    """Return the error with advice, as far as there is any. It names only models that `allows`."""
    if error.problem is Problem.MODEL_UNKNOWN:
        advice = {"did_you_mean": _similar(str(error.facts["value"]), catalog, allows)}
    elif isinstance(error.problem, Problem) and "model" in error.facts:
        advice = {"models_that_can": tuple(islice(_able(request, catalog, allows), NAMED_MAX))}
    else:
        return error
    given: dict[str, Fact] = {name: names for name, names in advice.items() if names}
    return InvalidRequestError(error.field, error.problem, facts={**error.facts, **given})


def _able(request: VideoRequest, catalog: Catalog, allows: Callable[[str], bool]) -> Iterator[str]:
    """Yield the listed models that can fulfil the request, one of each provider in turn."""
    able: dict[str, list[str]] = {}
    for route in catalog.models():
        if allows(route.display_name) and _can(route, request):
            able.setdefault(route.provider, []).append(route.display_name)
    for names in zip_longest(*able.values()):
        yield from (name for name in names if name is not None)


def _can(route: ModelRoute, request: VideoRequest) -> bool:
    try:
        route.check(request)
    except InvalidRequestError:
        return False
    return True


def _similar(name: str, catalog: Catalog, allows: Callable[[str], bool]) -> tuple[str, ...]:
    """Return the models and aliases whose names are most like this one."""
    named = {alias: alias for alias in catalog.aliases}
    for route in catalog.models():
        if allows(route.display_name):
            named[route.display_name] = named[route.model] = route.display_name
    by_form = {_form(known): full for known, full in named.items()}
    found = get_close_matches(_form(name), list(by_form), 2 * _SIMILAR_MAX, _SIMILARITY_MIN)
    return tuple(dict.fromkeys(by_form[form] for form in found))[:_SIMILAR_MAX]


def _form(name: str) -> str:
    """Return a name as it is compared: without upper case and without separators."""
    return name.casefold().translate(str.maketrans("", "", " _-."))
