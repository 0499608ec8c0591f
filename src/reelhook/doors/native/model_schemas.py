"""The bodies that the routes about models and costs return."""

from datetime import UTC, datetime

from pydantic import Field

from reelhook.domain.catalog import ModelRoute
from reelhook.domain.model import Image
from reelhook.doors.fields import MaybeProject, Schema, is_absent, maybe_project
from reelhook.gateway import CostLine, ProviderServer

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
    """The models that one account's server lists."""

    account: str
    provider: str
    server: str | None = Field(description="Its vendor's name for it; null: not known")
    models: list[str] = Field(description="As a request names them")
    ignored: bool = Field(description="It renders with its own model, whatever is named")
    error: str | None = Field(description="Why its models are not known")


class ModelsResponse(Schema):
    """The models that are known, and aliases of models.

    `defaultModel` null: if a request names none, it is the openai server's own.
    """

    models: list[ModelResponse]
    providers: list[str]
    default_model: str | None
    aliases: dict[str, str]
    servers: list[ServerResponse] | None = Field(
        None,
        exclude_if=is_absent,
        description="With served=true: the models that the accounts' servers list",
    )


class CostLineResponse(Schema):
    """The costs of the jobs of one day, model and unit together."""

    day: str
    model: str
    unit: str | None = Field(description="null: the provider reports nothing")
    jobs: int
    completed: int
    quoted: float | None
    charged: float | None
    project: MaybeProject = None


class CostsResponse(Schema):
    """Costs by day, project, model and unit."""

    costs: list[CostLineResponse]


def model_response(model: ModelRoute) -> ModelResponse:
    """Return one model, as a response shows it."""
    limits = model.limits
    assert limits is not None  # noqa: S101 - a listed model has limits
    return ModelResponse(
        model=model.display_name,
        provider=model.provider,
        accounts=[account.id for account in model.accounts],
        seconds=limits.seconds,
        sizes=limits.sizes,
        aspect_ratios=limits.aspect_ratios,
        image=limits.image,
        seed=limits.seed,
        prompt_characters_max=limits.prompt_characters_max,
    )


def server_response(server: ProviderServer) -> ServerResponse:
    """Return one server, as a response shows it."""
    return ServerResponse(
        account=server.account.id,
        provider=server.account.provider,
        server=server.title or None,
        models=list(server.models),
        ignored=server.ignored,
        error=server.error,
    )


def cost_line_response(line: CostLine) -> CostLineResponse:
    """Return one line of costs, as a response shows it."""
    day = datetime.fromtimestamp(line.day * _DAY_SECONDS, UTC).date()
    return CostLineResponse(
        day=day.isoformat(),
        model=f"{line.provider}/{line.model}",
        unit=line.unit,
        jobs=line.jobs,
        completed=line.completed,
        quoted=line.quoted,
        charged=line.charged,
        project=maybe_project(line.project),
    )
