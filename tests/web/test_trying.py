"""The form for a video."""

import re
from pathlib import Path

from browsing import browsing
from gateways import AT_ONCE, gateway

MODEL = "runway/gen4.5"


async def test_a_first_look_offers_the_shortest_video(tmp_path: Path) -> None:
    async with (
        gateway(tmp_path, AT_ONCE, providers=("runway",)) as server,
        browsing(server) as visitor,
    ):
        text = await visitor.text(f"/try?model={MODEL}")
        assert '"seconds": "2"' in text
        chosen = await visitor.text(f"/try?model={MODEL}&seconds=5")
        assert '"seconds": "5"' in chosen


PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010804000000b51c0c02"
    "0000000b4944415478da6364f80f00010501012718e3660000000049454e44ae426082"
)


async def test_an_image_is_a_file_of_the_form_and_stays_in_it(tmp_path: Path) -> None:
    async with (
        gateway(tmp_path, AT_ONCE, providers=("runway",)) as server,
        browsing(server) as visitor,
    ):
        assert 'type="file"' in await visitor.text(f"/try?model={MODEL}")
        fields = {"model": MODEL, "prompt": "A fox", "seconds": "5", "image": ""}
        priced = await visitor.post("/try", {**fields, "do": "price"}, files={"image_file": PNG})
        assert priced.status == 200
        (upload,) = re.findall(r'name="image"[^>]* value="([^"]+)"', priced.body.decode())
        await visitor.get("/try")
        asked = await visitor.post("/try", {**fields, "image": upload, "do": "submit"})
        job = asked.headers["Location"].partition("?")[0]
        assert asked.status == 303
        assert upload[-40:] in await visitor.text(job)
        await visitor.get("/try")
        refused = await visitor.post("/try", {**fields, "do": "submit"}, files={"image_file": b"x"})
        assert (refused.status, await server.total()) == (400, 1)
        assert b'role="alert"' in refused.body
