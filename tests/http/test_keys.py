"""The public keys are there for any receiver to fetch."""

import subprocess
import sys
from pathlib import Path

from gateways import AT_ONCE, gateway
from receivers import receiver

from reelhook.domain.signature import sign
from reelhook.domain.signing_keys import PrivateKey, jwk_set, private_text
from reelhook.webhooks import verify

JWKS = "/.well-known/webhooks/jwks.json"
NEW, OLD = b"n" * 32, b"o" * 32


async def test_without_a_private_key_the_set_is_empty(tmp_path: Path) -> None:
    async with gateway(tmp_path) as server:
        reply = await server.get(JWKS)
        assert (reply.status, reply.json()) == (200, {"keys": []})
        assert reply.headers["Cache-Control"] == "public, max-age=300"


async def test_every_key_is_published_and_verifies(tmp_path: Path) -> None:
    keys = f"{private_text(NEW)},{private_text(OLD)}"
    async with gateway(tmp_path, webhook_private_key=keys) as server:
        reply = await server.get(JWKS)
    new, old = PrivateKey.of(NEW), PrivateKey.of(OLD)
    assert reply.json() == jwk_set([new.public, old.public])
    assert reply.headers["Content-Type"] == "application/json"
    for key in (new, old):
        headers = sign(b"{}", message_id="evt_1", now=0, secret="s", private_keys=[key])
        assert verify(b"{}", headers, public_keys=reply.json(), now=0).body == {}


async def test_the_set_is_open_to_strangers_and_shows_no_private_key(tmp_path: Path) -> None:
    key = private_text(NEW)
    stranger = {"Host": "video.example", "Origin": "https://app.example"}
    for api_key in (None, "a-long-random-text"):
        async with gateway(tmp_path, webhook_private_key=key, api_key=api_key) as server:
            reply = await server.get(JWKS, headers=stranger)
            assert reply.status == 200
            for jwk in reply.json()["keys"]:
                assert "d" not in jwk
            assert not [line for line in server.logs if key in str(line)]


async def test_a_webhook_verifies_with_what_its_server_publishes(tmp_path: Path) -> None:
    keys = f"{private_text(NEW)},{private_text(OLD)}"
    async with (
        receiver() as client,
        gateway(
            tmp_path,
            AT_ONCE,
            webhook_private_key=keys,
            webhook_secret_previous="the secret before",
        ) as server,
    ):
        webhook = await client.ending(await server.submit(webhookUrl=client.url))
        published = (await server.get(JWKS)).json()
    entries = webhook.headers["webhook-signature"].split()
    assert [entry.partition(",")[0] for entry in entries] == ["v1", "v1", "v1a", "v1a"]
    for jwk in published["keys"]:
        verify(webhook.raw, webhook.headers, public_keys={"keys": [jwk]})
    for secret in (server.settings.webhook_secret, server.settings.webhook_secret_previous):
        assert secret is not None
        assert verify(webhook.raw, webhook.headers, secret).body == webhook.body


def test_the_program_loads_without_cryptography() -> None:
    script = "import sys, reelhook.bootstrap; print('cryptography' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
