"""Acme's films for reelhook."""

from collections.abc import Callable

from reelhook.domain.job import VideoRequest
from reelhook.domain.model import Image, Model, aspect_ratio_for
from reelhook.domain.report import (
    Accepted,
    Cost,
    Failed,
    Finished,
    Progress,
    Reading,
    Report,
    SubmitOutcome,
)
from reelhook.ports import Traits
from reelhook.providers.address import segment
from reelhook.providers.http_provider import Fields, HttpProvider
from reelhook.providers.refusal import failed
from reelhook.providers.values import number, percent, readable_id, text, unknown, web_address

SHAPES = ("16:9", "9:16")


class Acme(HttpProvider):
    """One account at Acme."""

    name = "acme"
    default_base_url = "https://api.acme.example/v1"
    traits = Traits(reads_per_second_max=20)
    models = (
        Model("film-1", seconds=("4", "8"), sizes=(), aspect_ratios=SHAPES, seed=False),
        Model("still-1", seconds=("4",), sizes=(), image=Image.REQUIRED, seed=False),
    )

    async def submit(
        self,
        request: VideoRequest,
        may_send: Callable[[], bool],
        callback_url: str | None = None,
    ) -> SubmitOutcome:
        """Order a film, exactly once."""
        common = {
            "model": request.model,
            "prompt": request.prompt,
            "duration": None if request.seconds is None else int(request.seconds),
            "ratio": aspect_ratio_for(request),
            "start_image": request.image,
        }
        given = {name: value for name, value in common.items() if value is not None}
        return await self.pay("films", {**request.options, **given}, may_send, accepted)

    async def get(self, provider_job_id: str) -> Reading:
        """Read one film."""
        return await self.reading(film(provider_job_id), report)

    async def cancel(self, provider_job_id: str) -> bool:
        """Stop a film; False once it is done."""
        return await self.canceled("DELETE", film(provider_job_id))

    async def check(self) -> str:
        """Ask whose key it is, which is free."""
        return f"account {text((await self.read('account') or {}).get('name'))}"


def film(provider_job_id: str) -> str:
    return f"films/{segment(provider_job_id)}"


def accepted(created: Fields) -> Accepted | None:
    film_id = readable_id(created.get("id"))
    return None if film_id is None else Accepted(film_id, quote=price(created))


def report(answer: Fields) -> Report | None:
    match answer.get("state"):
        case "waiting":
            return Progress(running=False)
        case "rendering":
            return Progress(running=True, percent=percent(answer.get("percent")))
        case "done" if url := web_address(answer.get("file")):
            return Finished(url, cost=price(answer))
        case "done":
            return Failed("content_missing", "The film is done, but it has no file.")
        case "failed":
            return failed(answer.get("error"))
        case state:
            return unknown(state)


def price(answer: Fields) -> Cost | None:
    amount = number(answer.get("price"))
    return None if amount is None or amount < 0 else Cost(amount, "USD")
