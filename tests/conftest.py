"""Hooks for the whole run."""

import gc
from collections.abc import Generator

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect tests without garbage collection, and exempt what is loaded by then from it.

    Nearly all of that stays until the end, and each collection would go through it. Later ones are
    rarer than by default, since the tests make much that is short-lived: 8 % of their CPU time.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 20)
        gc.enable()
