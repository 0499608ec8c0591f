"""Hooks for the whole run."""

import gc
import os
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes depends on the machine, and says nothing about the code.
settings.register_profile(
    "few", max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("many", settings.get_profile("few"), max_examples=400)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "few"))


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
