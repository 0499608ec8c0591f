"""The domain has no word of a door: the doors translate."""

import re
from pathlib import Path

import pytest

import reelhook.domain

MODULES = sorted(Path(str(reelhook.domain.__file__)).parent.glob("*.py"))
DEPRECATED = {"earlier_names.py"}
"""The names that the request's fields had: kept for one release, and nowhere else."""
PAYLOAD = {"event.py": {"soraJobId"}}
"""The body of a webhook."""
WIRE_NAMES = re.compile(
    r"\b(script|direction|wallet_?address|render_?version|sora\w*|aspectRatio|providerOptions"
    r"|provider_options|jobId|webhookUrl)\b",
    re.IGNORECASE,
)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_no_module_of_the_domain_has_a_field_of_a_door(module: Path) -> None:
    found = set(WIRE_NAMES.findall(module.read_text()))
    if module.name in DEPRECATED:
        assert {"script", "direction", "wallet_address"} <= found  # else the test sees nothing
    else:
        assert found - PAYLOAD.get(module.name, set()) - {"jobId"} == set()
