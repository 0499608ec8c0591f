"""What the routes about providers give."""

from datetime import UTC, datetime

from pydantic import Field

from reelhook.domain.model import Image
from reelhook.doors.fields import Schema, untold
from reelhook.ports import CostLine
from reelhook.service import ProviderServer

_DAY_SECONDS = 24 * 3600


class ModelResponse(Schema):
    """A model. null: no limit is known, and the provider decides; []: it takes none."""

    model: str
    provider: str
    accounts: list[str]
    seconds: tuple[str, ...] | None
    sizes: tuple[str, ...] | None
    aspect_ratios: tuple[str, ...] | None
    image: Image
    seed: bool
    prompt_characters_max: int | None


class ServerResponse(Schema):
    """What one account's server says it has."""

    account: str
    provider: str
    server: str | None = Field(description="What its vendor calls it; null: not known")
    models: list[str] = Field(description="As a request names them")
    ignored: bool = Field(description="It renders with its own model, whatever is named")
    error: str | None = Field(description="Why its models are not known")


class ModelsResponse(Schema):
    """The models that are known, and the names that stand for others.

    `defaultModel` null: where a request names none, it is the openai server's own.
    """

    models: list[ModelResponse]
    providers: list[str]
    default_model: str | None
    aliases: dict[str, str]
    servers: list[ServerResponse] | None = Field(
        None,
        exclude_if=untold,
        description="With served=true: what the accounts' servers themselves say they have",
    )


class CostLineResponse(Schema):
    """What the jobs of one day, model and unit cost together."""

    day: str
    model: str
    unit: str | None = Field(description="null: the provider tells nothing")
    jobs: int
    completed: int
    quoted: float | None
    charged: float | None


class CostsResponse(Schema):
    """Costs by day, model and unit."""

    costs: list[CostLineResponse]


class NoticeResponse(Schema):
    """Whether a provider's call led to a check."""

    checked: bool


def server_answer(server: ProviderServer) -> ServerResponse:
    """Tell one server."""
    return ServerResponse(
        account=server.account.id,
        provider=server.account.provider,
        server=server.title or None,
        models=list(server.called),
        ignored=server.ignored,
        error=server.error,
    )


def cost_line(line: CostLine) -> CostLineResponse:
    """Tell one line."""
    day = datetime.fromtimestamp(line.day * _DAY_SECONDS, UTC).date()
    return CostLineResponse(
        day=day.isoformat(),
        model=f"{line.provider}/{line.model}",
        unit=line.unit,
        jobs=line.jobs,
        completed=line.completed,
        quoted=line.quoted,
        charged=line.charged,
    )
