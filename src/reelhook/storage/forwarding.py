"""Declarations of a store's methods: each forwards to an operation, with the same parameters."""

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeVar

from reelhook.ports import SlowWrites
from reelhook.storage.at_rest import AtRest
from reelhook.storage.operation import ConflictKeys, Database, Operation
from reelhook.storage.write_times import WriteTimes

P = ParamSpec("P")
T = TypeVar("T")


class Forwarding:
    """A database whose operations are the methods of a subclass. `at_rest` decrypts secrets."""

    def __init__(self, database: Database, at_rest: AtRest) -> None:
        self._database = database
        self._at_rest = at_rest
        self._write_times = WriteTimes()

    @property
    def slow_writes(self) -> SlowWrites | None:
        """The slow writes of this process; None if the last ones were fast."""
        return self._write_times.slow


Method = Callable[Concatenate[Forwarding, P], Coroutine[Any, Any, T]]


def reading(operation: Callable[P, Operation[T]]) -> Method[P, T]:
    """Return a method that runs the operation as a read."""

    def read(store: Forwarding, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T]:
        return store._database.read(partial(operation, *args, **kwargs))

    return read


def writing(
    operation: Callable[P, Operation[T]], conflict_keys: Callable[P, ConflictKeys] | None = None
) -> Method[P, T]:
    """Return a method that runs the operation as a write. Without `conflict_keys` it runs alone."""

    def write(store: Forwarding, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T]:
        keys = conflict_keys(*args, **kwargs) if conflict_keys else None
        return store._write_times.timed(
            store._database.write(partial(operation, *args, **kwargs), keys)
        )

    return write


def in_background(operation: Callable[P, Operation[T]]) -> Method[P, T]:
    """Return a method that runs the operation at low priority."""

    def write(store: Forwarding, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T]:
        return store._database.background(partial(operation, *args, **kwargs))

    return write


def decrypting(method: Method[P, T], decrypt: Callable[[AtRest, T], T]) -> Method[P, T]:
    """Return the method with the secrets of its result decrypted."""

    async def read(store: Forwarding, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return decrypt(store._at_rest, await method(store, *args, **kwargs))

    return read
