"""Colours of simulated videos, and the words of a prompt that choose them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from PIL import ImageColor

Colour = tuple[int, int, int]
Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of a scene: the sky from above to the horizon, the sun, land far and near."""

    sky: tuple[Colour, Colour, Colour]
    sun: Colour
    far: Colour
    near: Colour


def _of(colours: str) -> Palette:
    above, middle, horizon, sun, far, near = map(_colour, colours.split())
    return Palette((above, middle, horizon), sun, far, near)


def _colour(digits: str) -> Colour:
    red, green, blue = ImageColor.getrgb(f"#{digits}")[:3]
    return red, green, blue


PALETTES = (
    _of("262054 a04a7a fa9e62 ffe2aa 964e76 1a1230"),
    _of("14224a 3a5c94 bec4ce fff4e0 607ca0 0e182e"),
    _of("101434 243e6e 409296 e8faf0 265870 081022"),
    _of("486096 cc96a4 fcd4b0 fff8e4 b28ca4 322846"),
    _of("602e3a d06042 fabe68 fff0be b05846 2c1422"),
    _of("1c1442 5c2c80 e06496 ffd8e6 64327a 120c2a"),
    _of("184258 4a8c92 dedeba fffade 689894 0e2834"),
    _of("0a122c 1a2c5c 54609e f0f0ff 283868 060a1a"),
)
_KINDS = {
    "sea": "sea ocean wave waves water boat boats lighthouse beach river lake ink harbour",
    "city": "city street train neon tram skyline market night cinema station projector traffic",
    "peaks": "mountain mountains pass snowy glacier peak peaks forest",
    "dunes": "desert field fields sand dune dunes lavender terraced valley bees clay hands horse",
}
_TONES = {
    0: "dusk evening sunset autumn",
    1: "rain rain-wet snowy winter ink",
    2: "moonlight underwater glacier",
    3: "dawn morning clouds spring",
    4: "desert clay fire",
    5: "night neon lavender dream",
    6: "terraced forest jungle",
}
"""Words of prompts, and the palette that suits them."""


def palette_of(prompt: str, number: int) -> Palette:
    """Return the colours that suit a prompt; `number` chooses if it names none."""
    tone = _named(_TONES, prompt)
    return PALETTES[number % len(PALETTES) if tone is None else tone]


def kind_of(prompt: str, number: int) -> str:
    """Return what a video shows: `sea`, `city`, `peaks` or `dunes`."""
    return _named(_KINDS, prompt) or ("peaks", "sea", "dunes")[number % 3]


def mixed(first: Colour, second: Colour, share: float) -> Colour:
    """Return the colour between two, at a share from 0 to 1."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def _named(words: Mapping[Key, str], prompt: str) -> Key | None:
    """Return the first key whose words the prompt contains."""
    found = {word.strip(".,;:!?'\"") for word in prompt.lower().split()}
    return next((key for key, known in words.items() if found & set(known.split())), None)
