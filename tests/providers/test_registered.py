"""The providers that the package registers."""

import tomllib
from pathlib import Path
from pkgutil import resolve_name

import pytest

from reelhook.domain.model import Model
from reelhook.providers.http.provider import HttpProvider

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
REGISTERED: dict[str, str] = PROJECT["entry-points"]["reelhook.providers"]


@pytest.mark.parametrize("name", REGISTERED)
async def test_a_provider_is_registered_under_its_name_and_needs_no_more_than_a_key(
    name: str,
) -> None:
    kind = resolve_name(REGISTERED[name])
    assert issubclass(kind, HttpProvider)
    assert kind.name == name
    assert all(isinstance(model, Model) for model in kind.models)
    assert len({model.name for model in kind.models}) == len(kind.models)
    # The OpenAI wire alone has no server of its own.
    base = None if kind.default_base_url else "https://gpu.example"
    async with kind(base, "a key") as provider:
        assert provider.base.scheme == "https"
