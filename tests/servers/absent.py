"""Stands in for modules that a server imports for its GPU and that no HTTP route ever calls."""

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Iterator, MutableSequence, Sequence
from types import FunctionType, ModuleType
from typing import Any


class _Anything(type):
    """A class with every attribute, which can be called, subclassed and used as a decorator."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _made(name)

    def __call__(cls, *given: Any, **options: Any) -> Any:
        if len(given) == 1 and not options and isinstance(given[0], FunctionType | type):
            return given[0]
        return type.__call__(cls)

    def __iter__(cls) -> Iterator[Any]:
        return iter(())

    def __getitem__(cls, _: Any) -> Any:
        return cls

    def __or__(cls, _: Any) -> Any:
        return cls

    def __ror__(cls, _: Any) -> Any:
        return cls

    def __bool__(cls) -> bool:
        return False


class _Thing(metaclass=_Anything):
    def __init__(self, *_: Any, **__: Any) -> None:
        """Take whatever comes."""

    def __init_subclass__(cls, **_: Any) -> None:
        """Take whatever options a class statement has."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _made(name)

    def __call__(self, *given: Any, **options: Any) -> Any:
        return _Thing(*given, **options)

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __getitem__(self, _: Any) -> Any:
        return _made("item")

    def __bool__(self) -> bool:
        return False

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        """Let errors through."""


def _made(name: str) -> Any:
    return _Anything(name, (_Thing,), {})


class _Module(ModuleType):
    __path__: MutableSequence[str] = []  # noqa: RUF012 - as of any package
    __version__ = "0.0.0"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _made(name)


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def find_spec(
        self, name: str, path: Any = None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        if any(name == one or name.startswith(f"{one}.") for one in self._names):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return _Module(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: there is no code."""


def stand_in_for(*names: str, installed: bool = False) -> None:
    """Make these modules, and all below them, importable where they are missing.

    With `installed` also where they are there: compiled parts that want CUDA's libraries.
    """
    sys.meta_path.insert(0 if installed else len(sys.meta_path), _Finder(names))
