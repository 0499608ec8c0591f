"""The form for a video."""

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
