"""The official JavaScript library accepts what reelhook signs, and refuses what was altered."""

import json
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from reelhook.domain.signature import sign, standard_secret
from reelhook.domain.signing_keys import PrivateKey

HERE = Path(__file__).parent
NODE = shutil.which("node")
pytestmark = [
    pytest.mark.skipif(NODE is None, reason="node is missing: install Node.js to run it"),
    pytest.mark.skipif(
        not (HERE / "node_modules/standardwebhooks").exists(),
        reason="standardwebhooks is missing: run npm ci in tests/javascript",
    ),
]
BODY = '{"jobId":"job_1","status":"completed","progress":100,"title":"Straße 🎬"}'


def verdicts(*webhooks: dict[str, object]) -> list[str]:
    assert NODE is not None
    lines = "\n".join(json.dumps(webhook) for webhook in webhooks)
    ran = subprocess.run(
        [NODE, "verify.mjs"], cwd=HERE, input=lines, capture_output=True, text=True, check=True
    )
    return ran.stdout.splitlines()


def webhook(
    secret: str,
    *,
    previous: str | None = None,
    body: str = BODY,
    private_keys: Sequence[PrivateKey] = (),
) -> dict[str, object]:
    headers = sign(
        BODY.encode(),
        message_id="evt_job_1_3",
        now=time.time_ns() // 1_000_000,
        secret=secret,
        previous=previous,
        private_keys=private_keys,
    )
    return {"secret": standard_secret(secret), "headers": headers, "body": body}


@pytest.mark.parametrize("secret", ["a plain secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])
def test_the_npm_library_accepts_a_webhook(secret: str) -> None:
    assert verdicts(webhook(secret)) == ["ok"]


def test_the_npm_library_accepts_the_old_secret_during_a_rotation() -> None:
    rotated = webhook("new secret", previous="old secret")
    assert verdicts(rotated, {**rotated, "secret": standard_secret("old secret")}) == ["ok", "ok"]


def test_the_npm_library_passes_over_what_private_keys_signed() -> None:
    keys = [PrivateKey.of(b"n" * 32), PrivateKey.of(b"o" * 32)]
    rotated = webhook("new secret", previous="old secret", private_keys=keys)
    others = {**rotated, "secret": standard_secret("another")}
    old = {**rotated, "secret": standard_secret("old secret")}
    assert verdicts(rotated, old) == ["ok", "ok"]
    assert verdicts(others) != ["ok"]


def test_the_npm_library_refuses_an_altered_body() -> None:
    assert verdicts(webhook("a plain secret", body=BODY.replace("100", "99"))) != ["ok"]
