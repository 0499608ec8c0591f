"""The bodies that the routes about models and costs return."""

from datetime import UTC, datetime

from pydantic import Field

from reelhook.domain.catalog import ModelRoute
from reelhook.domain.media_limits import ImageLimits
from reelhook.domain.model import Image
from reelhook.domain.price import ModelPrice, Per, Price, rounded
from reelhook.doors.fields import MaybeProject, Schema, is_absent, maybe_project
from reelhook.doors.prices import PriceResponse, maybe_price
from reelhook.gateway import CostLine, ProviderServer

_DAY_SECONDS = 24 * 3600


class PriceLineResponse(Schema):
    """A figure, and the requests that it applies to. null: any; audio null: with and without."""

    amount: float
    per: Per
    resolution: str | None
    audio: bool | None
    seconds: int | None


class PriceTableResponse(Schema):
    """The price of a model at some of its accounts."""

    accounts: list[str]
    unit: str = Field(description="A currency, such as USD, or the provider's own: credits")
    lines: list[PriceLineResponse]
    minimum: float = Field(description="What a video costs at least")
    image: float = Field(description="What is added for a first image")
    rate: PriceResponse | None = Field(description="The worth of one unit; null: not known")
    source: str = Field(description="Where the figures are from")
    date: str | None = Field(
        description="The day on which they were checked; null: the operator has set them"
    )


class ImageLimitsResponse(Schema):
    """The limits of a model on each image. null: no limit is known."""

    side_min: int | None = Field(description="Pixels")
    side_max: int | None
    ratio_min: float | None = Field(description="The width divided by the height")
    ratio_max: float | None
    bytes_max: int | None
    first_only: bool = Field(description="They are known for the first image only")


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
    resolutions: tuple[str, ...] | None
    negative_prompt: bool
    audio: bool = Field(description="Sound can be switched on and off")
    last_frame: bool
    reference_images_max: int | None = Field(description="The most of a request; 0: none")
    reference_videos_max: int | None
    reference_audios_max: int | None
    references_or_frames: bool = Field(
        description="References can't be combined with image or lastFrame"
    )
    prompt_characters_max: int | None
    images: ImageLimitsResponse | None = Field(
        None, exclude_if=is_absent, description="The limits on images; absent: none is known"
    )
    prices: list[PriceTableResponse] = Field(description="[]: no price is known")


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


class ConvertedCostsResponse(Schema):
    """Costs in a currency."""

    unit: str
    quoted: float | None
    charged: float | None
    estimated: float | None


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
    estimated: float | None = Field(
        description="By the models' prices, for jobs without a charge or a quote that did not fail"
    )
    converted: ConvertedCostsResponse | None = Field(
        None, exclude_if=is_absent, description="The same in a currency, if a rate is known"
    )


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
        resolutions=limits.resolutions,
        negative_prompt=limits.negative_prompt,
        audio=limits.audio,
        last_frame=limits.last_frame,
        reference_images_max=limits.reference_images_max,
        reference_videos_max=limits.reference_videos_max,
        reference_audios_max=limits.reference_audios_max,
        references_or_frames=limits.references_or_frames,
        prompt_characters_max=limits.prompt_characters_max,
        images=_image_limits(limits.images),
        prices=_prices(model),
    )


def _image_limits(limits: ImageLimits | None) -> ImageLimitsResponse | None:
    if limits is None:
        return None
    return ImageLimitsResponse(
        side_min=limits.side_min,
        side_max=limits.side_max,
        ratio_min=limits.ratio_min,
        ratio_max=limits.ratio_max,
        bytes_max=limits.bytes_max,
        first_only=limits.first_only,
    )


def _prices(model: ModelRoute) -> list[PriceTableResponse]:
    """Return the price tables of a model, each with the accounts that have it."""
    shown: list[tuple[ModelPrice, Price | None, list[str]]] = []
    for account in model.accounts:
        table = account.price_of(model.model, model.limits)
        if table is None:
            continue
        rate = account.rate_of(table.unit, table)
        same = next((names for known, worth, names in shown if (known, worth) == (table, rate)), [])
        if not same:
            shown.append((table, rate, same))
        same.append(account.id)
    return [_price_table(*entry) for entry in shown]


def _price_table(table: ModelPrice, rate: Price | None, accounts: list[str]) -> PriceTableResponse:
    return PriceTableResponse(
        accounts=accounts,
        unit=table.unit,
        lines=[
            PriceLineResponse(
                amount=line.amount,
                per=line.per,
                resolution=line.resolution,
                audio=line.audio,
                seconds=line.seconds,
            )
            for line in table.lines
        ],
        minimum=table.minimum,
        image=table.image_amount,
        rate=maybe_price(rate),
        source=table.source,
        date=table.date,
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
        estimated=line.estimated,
        converted=None if line.rate is None else _converted(line, line.rate),
    )


def _converted(line: CostLine, rate: Price) -> ConvertedCostsResponse:
    def worth(amount: float | None) -> float | None:
        return None if amount is None else rounded(amount * rate.amount)

    return ConvertedCostsResponse(
        unit=rate.unit,
        quoted=worth(line.quoted),
        charged=worth(line.charged),
        estimated=worth(line.estimated),
    )
