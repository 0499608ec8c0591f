"""The pages of the dashboard whose images are made, and what is done on each before."""

import io
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image
from playwright.async_api import FilePayload, Page

from reelhook.cli.client import Api, job_path

Act = Callable[[Page], Awaitable[None]]
ACT_MILLISECONDS = 90_000
"""The most time that an act on a page takes: the doctor looks at everything."""


@dataclass(frozen=True, slots=True)
class Shot:
    """An image: a page, after an act on it if there is one."""

    path: str
    act: Act | None = None


async def shots_of(api: Api, state: str, shown: Mapping[str, str]) -> dict[str, Shot]:
    """Return the images of a state by their names. `shown` has a job of each kind."""
    shots = {
        "overview": Shot("/"),
        "jobs": Shot("/jobs"),
        "webhooks": Shot("/webhooks"),
        "providers": Shot("/providers"),
        "costs": Shot("/costs"),
        "keys": Shot("/keys"),
        "archive": Shot("/archive"),
        "system": Shot("/system"),
        "try": Shot("/try"),
        "missing": Shot("/jobs/job_unknown"),
        "login": Shot("/login", _log_in_with_another_key),
    }
    if state == "empty":
        return shots | {"filter": Shot("/jobs?q=status%3Afailed+colour%3Ared")}
    for name, job_id in shown.items():
        if name != "endpoint":
            shots[f"job-{name}"] = Shot(f"/jobs/{job_id}")
    for one in (await api.get("/api/endpoints")).value["endpoints"]:
        shots["endpoint"] = Shot(f"/webhooks/{shown.get('endpoint', one['id'])}")
    rows: list[dict[str, Any]] = (await api.get("/api/deliveries", jobId=shown["completed"])).value[
        "deliveries"
    ]
    for row in rows:
        delivery = Shot(f"{job_path(shown['completed'])[4:]}/deliveries/{row['id']}")
        shots["delivery" if row["state"] == "delivered" else "delivery-failing"] = delivery
    if state == "busy":
        shots |= {
            "help": Shot("/", _help),
            "matching": Shot("/jobs?q=age%3A%3E1s&all=cancel"),
            "confirm": Shot(f"/jobs/{shown['completed']}", _ask),
            "try-file": Shot("/try", _price_with_file),
            "key-shown": Shot("/keys", _create_key),
            "secret-shown": Shot(shots["endpoint"].path, _rotate),
        }
    else:
        shots["system-checked"] = Shot("/system", _examine)
    return shots


def shots_of_reader(shown: Mapping[str, str]) -> dict[str, Shot]:
    """Return the images of pages as a key sees them that may only read."""
    return {
        "reader-overview": Shot("/"),
        "reader-job": Shot(f"/jobs/{shown['rendering']}"),
        "reader-endpoint": Shot(f"/webhooks/{shown['endpoint']}"),
        "reader-system": Shot("/system"),
        "reader-refused": Shot("/keys"),
    }


async def _log_in_with_another_key(page: Page) -> None:
    await page.fill("#key", "another key")
    await page.click("text=Log in >> nth=-1")
    await page.wait_for_selector("#problem")


async def _help(page: Page) -> None:
    await page.keyboard.press("?")


async def _ask(page: Page) -> None:
    await page.click("summary:has-text('Delete')")


async def _price_with_file(page: Page) -> None:
    content = io.BytesIO()
    Image.new("RGB", (640, 360), "teal").save(content, "PNG")
    image = FilePayload(name="first.png", mimeType="image/png", buffer=content.getvalue())
    await page.set_input_files("#f-file", image)
    await page.click("button:has-text('See the price')")


async def _create_key(page: Page) -> None:
    await page.fill("#k-name", "night batch")
    await page.click("button:has-text('Create') >> nth=0")
    await page.wait_for_selector(".secret")


async def _rotate(page: Page) -> None:
    await page.click("summary:has-text('Rotate the secret')")
    await page.click("button:has-text('Rotate it')")
    await page.wait_for_selector(".secret")


async def _examine(page: Page) -> None:
    await page.click("#doctor button")
    await page.wait_for_selector("#doctor table", timeout=ACT_MILLISECONDS)
