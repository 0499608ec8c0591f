"""A dashboard on a day on which every secret is known: no page shows one."""

import logging
from pathlib import Path
from typing import Any

import pytest
from browsing import browsing, new_key
from gateways import AT_ONCE, gateway
from receivers import receiver

from reelhook.domain.encryption import key_text
from reelhook.domain.signing_keys import private_text

API_KEY, PROVIDER_KEY = "hunter2-the-api-key", "hunter2-the-key-of-the-provider"
SECRETS: dict[str, Any] = {
    "webhook_secret": "hunter2-the-secret",
    "webhook_private_key": private_text(b"hunter2-the-private-signing-key!"),
    "encryption_keys": key_text(bytes(range(32))),
}
OWN, HEADER = "hunter2-the-own-secret", "Bearer hunter2-header"
PAGES = (
    *("/", "/jobs", "/webhooks", "/providers", "/costs", "/keys", "/archive", "/system", "/try"),
)


async def test_no_page_and_no_log_line_has_a_secret(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    bearer = {"Authorization": f"Bearer {API_KEY}"}
    async with (
        receiver() as client,
        gateway(
            tmp_path,
            AT_ONCE,
            provider_key=PROVIDER_KEY,
            openai_api_key="hunter2-a-wrong-key",
            api_key=API_KEY,
            headers=bearer,
            **SECRETS,
        ) as server,
        browsing(server) as visitor,
    ):
        made = await server.endpoint(client.url, secret=OWN, headers={"X": HEADER})
        key = await new_key(server, {}, scopes=["read"])
        job = await server.submit(endpoints=[made["id"]])
        await server.job_when(job, "accepted")
        await visitor.log_in("hunter2-a-wrong-login")
        assert (await visitor.log_in(API_KEY)).status == 303
        shown = ""
        for path in (*PAGES, f"/jobs/{job}", f"/webhooks/{made['id']}"):
            shown += await visitor.text(path) + await visitor.text(f"{path}?live=poll")
        assert "hunter2" not in shown
        for secret in (key["key"], *SECRETS.values()):
            assert secret not in shown
        lines = "\n".join(one.getMessage() + (one.exc_text or "") for one in caplog.records)
        assert "hunter2" not in lines + repr(server.logs)
