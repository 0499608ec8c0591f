"""A refusal names models that can, or those that were probably meant."""

import pytest

from reelhook.domain.catalog import Account, Catalog
from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.model import Model
from reelhook.domain.model_advice import advised
from reelhook.domain.request import VideoRequest

SILENT = {"audio": False, "seed": False, "reference_images_max": 0}
CATALOG = Catalog(
    [Account("fal", "fal"), Account("runway", "runway")],
    {
        "fal": [Model("fal-ai/veo3", audio=False, seed=False), Model("fal-ai/kling", seed=False)],
        "runway": [
            Model("gen4.5", audio=False, reference_images_max=1),
            *(Model(f"wide-{number}") for number in range(7)),
        ],
    },
    {"quick": "runway/gen4.5"},
)


def message(request: VideoRequest, *, only: tuple[str, ...] | None = None) -> str:
    with pytest.raises(InvalidRequestError) as refused:
        CATALOG.routes(request)
    error = advised(refused.value, request, CATALOG, lambda name: only is None or name in only)
    assert error.field == refused.value.field
    assert error.message.startswith(refused.value.message)
    return error.message.removeprefix(refused.value.message)


def test_models_that_can_are_named_at_most_five() -> None:
    silent = VideoRequest("A fox", model="fal/fal-ai/veo3", audio=False)
    assert message(silent) == (
        "; models that can: fal/fal-ai/kling, runway/wide-0, runway/wide-1, runway/wide-2, "
        "runway/wide-3"
    )


def test_a_model_is_named_only_if_it_can_do_all_that_was_asked_for() -> None:
    request = VideoRequest(
        "A fox", model="fal/fal-ai/veo3", seed=7, reference_images=("https://h.example/a.png",) * 2
    )
    only = ("runway/gen4.5", "runway/wide-6", "fal/fal-ai/kling")
    assert message(request, only=only) == "; models that can: runway/wide-6"


def test_only_models_that_the_caller_may_use_are_named() -> None:
    silent = VideoRequest("A fox", model="fal/fal-ai/veo3", audio=False)
    assert message(silent, only=("fal/fal-ai/veo3",)) == ""


def test_a_wrong_value_for_no_model_gets_no_advice() -> None:
    wrong = InvalidRequestError("seed", "seed must be a number")
    assert advised(wrong, VideoRequest("A fox"), CATALOG, lambda _: True) is wrong


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("gen45", "runway/gen4.5"),
        ("runwy/gen4.5", "runway/gen4.5"),
        ("Fal-AI/Veo-3", "fal/fal-ai/veo3"),
        ("qick", "quick"),
    ],
)
def test_a_name_that_was_probably_meant_is_asked_about(name: str, meant: str) -> None:
    found = message(VideoRequest("A fox", model=name))
    assert found.startswith(". Did you mean ")
    assert meant in found


def test_a_name_that_is_like_no_other_gets_no_advice() -> None:
    assert message(VideoRequest("A fox", model="zzz")) == ""
