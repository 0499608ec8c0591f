"""A refusal says in words what is allowed: it shows no pattern, and no type of Python."""

import itertools
from collections.abc import Iterator
from typing import Any

from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter, ValidationError

from reelhook.domain.errors import ReelhookError
from reelhook.doors import errors
from reelhook.doors.app import ROUTERS
from reelhook.doors.openai.body import RemixBody, VideoBody
from reelhook.doors.vercel.body import OwnFields, VideoModelBody

LONG = "x" * 40_000
WRONG: tuple[Any, ...] = (
    *({}, [], "", "x", "a b", "\ud800", "\0", LONG, 1, 1.5, -1, True, 10**30, float("nan")),
    *([1], [None], [{}], ["a b"], ["x"] * 100, [{"type": "file"}]),
    *({"a": 1}, {"a": "\0"}, {"": ""}, {"a": {}}, {"type": "x"}, {"url": 1}),
    *("2020-01-01", "2020-13-01", "2020-01-01T00:00", "2020-01-01T99:00Z", "9" * 30),
)
ROUTES = [
    route
    for route in itertools.chain.from_iterable(router.routes for router in ROUTERS)
    if isinstance(route, APIRoute)
]


def problems_of_parameters() -> Iterator[Any]:
    for route in ROUTES:
        dependant = route.dependant
        for one in (*dependant.query_params, *dependant.header_params, *dependant.path_params):
            for text in map(str, WRONG):
                _, found = one.validate(text, {}, loc=("query", one.alias))
                yield from found or ()


def problems_of_bodies() -> Iterator[Any]:
    bodies: set[Any] = {VideoBody, RemixBody, VideoModelBody, OwnFields}
    bodies |= {route.body_field.field_info.annotation for route in ROUTES if route.body_field}
    for body in bodies:
        is_model = isinstance(body, type) and issubclass(body, BaseModel)
        fields = body.model_fields.items() if is_model else ()
        names = [field.alias or name for name, field in fields]
        adapter: TypeAdapter[Any] = TypeAdapter(body)
        for given in (*WRONG, *({name: value} for name in names for value in WRONG)):
            try:
                adapter.validate_python(given, from_attributes=True)  # as FastAPI does
            except ValidationError as error:
                for one in error.errors(include_url=False):
                    yield {**one, "loc": ("body", *one["loc"])}
            except ReelhookError:
                pass


def test_every_problem_of_a_body_or_a_parameter_has_a_sentence() -> None:
    for problem in itertools.chain(problems_of_parameters(), problems_of_bodies()):
        if len(problem["loc"]) > 1:
            assert problem["type"] in errors._REMEDIES, problem
            message, _ = errors._sentence(problem)
            assert not any(sign in message for sign in ("^", "[", "Input", "String")), message
