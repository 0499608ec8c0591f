"""The code that pages show to verify a webhook runs as it stands."""

import base64
from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from reelhook.doors.web.verifying import VERIFY_IN_PYTHON

SECRET = "whsec_" + base64.b64encode(b"a secret of 24 bytes or so").decode()


def test_the_python_code_accepts_our_webhook_and_no_changed_body(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REELHOOK_RECEIVER_SECRET", SECRET)
    shown: dict[str, Any] = {}
    exec(VERIFY_IN_PYTHON, shown)  # noqa: S102 - our own code
    now, body = datetime.now(UTC), '{"status":"completed"}'
    headers = {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(SECRET).sign("evt_1", now, body),
    }
    assert shown["verified"](body.encode(), headers) == {"status": "completed"}
    with pytest.raises(WebhookVerificationError):
        shown["verified"](b'{"status": "completed"}', headers)
