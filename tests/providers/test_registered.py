"""The providers that the package brings along."""

import subprocess
import sys
from pkgutil import resolve_name

import pytest

from reelhook.bootstrap.accounts import installed
from reelhook.domain.model import Model
from reelhook.providers.http.provider import HttpProvider
from reelhook.providers.registry import BUILT_IN


@pytest.mark.parametrize("name", BUILT_IN)
async def test_a_provider_is_registered_under_its_name_and_needs_no_more_than_a_key(
    name: str,
) -> None:
    kind = resolve_name(BUILT_IN[name].adapter)
    assert issubclass(kind, HttpProvider)
    assert kind.name == name
    assert all(isinstance(model, Model) for model in kind.models)
    assert len({model.name for model in kind.models}) == len(kind.models)
    assert BUILT_IN[name].self_hosted == (kind.default_base_url is None)
    base = None if kind.default_base_url else "https://gpu.example"
    async with kind(base, "a key") as provider:
        assert provider.base.scheme == "https"


def test_the_registered_providers_are_found_beside_those_of_other_packages() -> None:
    found = installed()
    assert {name: found[name].value for name in BUILT_IN} == {
        name: one.adapter for name, one in BUILT_IN.items()
    }


def test_reading_the_settings_loads_no_adapter() -> None:
    program = (
        "import sys, reelhook.config; "
        "print(*[name for name in sys.modules if name.startswith('reelhook.providers')])"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert loaded.stdout.decode().split() == [
        "reelhook.providers",
        "reelhook.providers.registry",
    ]
