"""Scenery of simulated videos: a sky with a sun, and layers of land, sea or a city that drift."""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random

from PIL import Image, ImageDraw, ImageFilter

from reelhook.simulator.palettes import Colour, kind_of, mixed, palette_of

Profile = Callable[[float], float]
"""The height of a layer, 0..1, at a distance in widths of the frame."""

LAYERS = 4
_DRIFT = 0.16
"""The distance by which the nearest layer moves, in widths of the frame."""
_FINE = 2
"""Pillow draws without anti-aliasing, so layers are drawn larger by this factor."""
_HORIZON = 0.6
_LIGHTHOUSE = "lighthouse"


@dataclass(frozen=True, slots=True)
class _Layer:
    colour: Colour
    mask: Image.Image
    top: int
    travel: float
    solid_from: int | None = None
    """The row from which on the layer has no gap, and is filled without its mask."""
    houses: Image.Image | None = None
    """The layer itself, if it has more than one colour."""


class Scenery:
    """The moving background of one video; the prompt chooses what it shows and its colours."""

    def __init__(self, prompt: str, width: int, height: int) -> None:
        digest = hashlib.sha256(prompt.encode("utf-8", "replace")).digest()
        self._random = Random(digest)  # noqa: S311 - it makes no secrets
        self._width, self._height = width, height
        self.palette = palette_of(prompt, digest[0])
        kind = kind_of(prompt, digest[1])
        self._sun_x = (0.56 + 0.3 * digest[2] / 255) * width
        self._sun_y = (0.26 + 0.16 * digest[3] / 255) * height
        self._has_sea = kind == "sea"
        self._sky = self._draw_sky()
        if self._has_sea:
            self._draw_water(self._sky)
            shore = self._layer(_rugged(self._random, 0.5), _HORIZON, 0.07, 0.15)
            self._sky.paste(shore.colour, (0, shore.top), shore.mask)
            if _LIGHTHOUSE in prompt.lower():
                self._draw_lighthouse(self._sky)
        self._layers = self._waves() if self._has_sea else self._land(kind)

    def frame(self, share: float) -> Image.Image:
        """Return the background at this share of the video."""
        image = self._sky.copy()
        if self._has_sea:
            self._draw_shimmer(image, share)
        pen = ImageDraw.Draw(image)
        for layer in self._layers:
            at = (-round(layer.travel * share), layer.top)
            image.paste(layer.houses or layer.colour, at, layer.mask)
            if layer.solid_from is not None and layer.solid_from < self._height:
                pen.rectangle((0, layer.solid_from, self._width, self._height), fill=layer.colour)
        return image

    def _draw_sky(self) -> Image.Image:
        size = (self._width, self._height)
        above, middle, horizon = self.palette.sky
        rows = Image.new("RGB", (1, 64))
        for row in range(64):
            share = row / 44  # the last colour is reached where the land begins
            first, second, part = (
                (above, middle, 2 * share) if share < 0.5 else (middle, horizon, 2 * share - 1)
            )
            rows.putpixel((0, row), mixed(first, second, min(1.0, part)))
        sky = rows.resize(size, Image.Resampling.BICUBIC)
        if sum(above) < 140:
            pen = ImageDraw.Draw(sky)
            for _ in range(90):
                x, y = self._random.random(), 0.5 * self._random.random() ** 2
                night = mixed(above, middle, min(1.0, 3 * y))
                at = (x * self._width, y * self._height)
                pen.point(at, fill=mixed(night, (255, 255, 255), 0.6))
        sun = _soft_disc(max(4, round(1.1 * self._height)), core=0.075)
        at = (round(self._sun_x - sun.width / 2), round(self._sun_y - sun.height / 2))
        sky.paste(self.palette.sun, at, sun)
        return sky

    def _waves(self) -> list[_Layer]:
        return [
            self._layer(_swell(self._random, 2.2), 0.93, 0.05, 0.8),
            self._layer(_swell(self._random, 3.4), 1.02, 0.06, 1.0),
        ]

    def _land(self, kind: str) -> list[_Layer]:
        layers = []
        for number in range(LAYERS):
            depth = number / (LAYERS - 1)
            top, rise = 0.50 + 0.13 * number, 0.30 - 0.03 * number
            if kind == "city" and number:
                layers.append(self._city(top - 0.06, 0.34, depth))
            elif kind == "dunes":
                crests = _swell(self._random, 1.2 + 0.5 * number)
                layers.append(self._layer(crests, top, 0.6 * rise, depth))
            else:
                layers.append(self._layer(_rugged(self._random, 0.55), top, rise, depth))
        return layers

    def _draw_lighthouse(self, image: Image.Image) -> None:
        """Draw a headland with a lighthouse, whose lamp is lit."""
        width, height, unit = self._width, self._height, self._height / 100
        mask = Image.new("L", (width * _FINE, height * _FINE))
        pen, x = ImageDraw.Draw(mask), 0.2 * width
        rock = [(0.0, 100.0), (0.0, 66.0)]
        rock += [(each, 66 - 7 * math.sin(each / 13) - each / 40) for each in range(1, 32)]
        rock += [
            (40.0, 57.0),
            (47.0, 61.0),
            (54.0, 70.0),
            (64.0, 74.0),
            (72.0, 84.0),
            (84.0, 100.0),
        ]
        pen.polygon([(px * unit * _FINE, py * unit * _FINE) for px, py in rock], fill=255)
        tower = ((-3.4, 62), (-2.2, 30), (2.2, 30), (3.4, 62))
        gallery = ((-3.2, 30), (-3.2, 28.6), (3.2, 28.6), (3.2, 30))
        roof = ((-2.4, 24.4), (0, 20.5), (2.4, 24.4))
        posts = [
            ((left, 29), (left, 24), (left + 0.5, 24), (left + 0.5, 29)) for left in (-2.1, 1.6)
        ]
        for shape in (tower, gallery, roof, *posts):
            pen.polygon(
                [((x + px * unit) * _FINE, py * unit * _FINE) for px, py in shape], fill=255
            )
        mask = mask.resize((width, height), Image.Resampling.BOX)
        image.paste(mixed(self.palette.far, self.palette.near, 0.92), None, mask)
        lamp = _soft_disc(max(4, round(26 * unit)), core=0.06)
        at = (round(x - lamp.width / 2), round(26.6 * unit - lamp.height / 2))
        image.paste(self.palette.sun, at, lamp)

    def _layer(
        self, profile: Profile, top: float, rise: float, depth: float, floor: float = 0.0
    ) -> _Layer:
        """Return a layer below `top`, from which its profile rises; `floor`: its least height."""
        travel = _DRIFT * (0.2 + 0.8 * depth) * self._width
        width, upper = math.ceil(self._width + travel) + 1, (top - rise) * self._height
        # Only the part that has gaps needs a mask.
        height = max(1, math.ceil(rise * self._height))
        points = [(0.0, float(height * _FINE))]
        steps = 160
        for step in range(steps + 1):
            at = step / steps
            level = floor + (1 - floor) * profile(at * width / self._width)
            points.append((at * width * _FINE, (1 - level) * rise * self._height * _FINE))
        points.append((float(width * _FINE), float(height * _FINE)))
        mask = Image.new("L", (width * _FINE, height * _FINE))
        ImageDraw.Draw(mask).polygon(points, fill=255)
        mask = mask.resize((width, height), Image.Resampling.BOX)
        colour = mixed(self.palette.far, self.palette.near, depth)
        return _Layer(colour, mask, round(upper), travel, round(upper) + height)

    def _city(self, top: float, rise: float, depth: float) -> _Layer:
        """Return a row of houses, some of whose windows are lit."""
        travel = _DRIFT * (0.2 + 0.8 * depth) * self._width
        width, upper = math.ceil(self._width + travel) + 1, (top - rise) * self._height
        size = (width, max(1, math.ceil(self._height - upper)))
        colour = mixed(self.palette.far, self.palette.near, depth)
        mask, houses = Image.new("L", size), Image.new("RGB", size, colour)
        pen, lamp = ImageDraw.Draw(mask), ImageDraw.Draw(houses)
        cell = max(3.0, self._height * (0.012 + 0.012 * depth))
        x = -self._random.random() * 4 * cell
        while x < width:
            across = cell * self._random.randint(4, 9)
            roof = (1 - self._random.random() ** 1.6) * rise * self._height
            pen.rectangle((x, roof, x + across, size[1]), fill=255)
            for column in range(1, int(across / cell)):
                for row in range(1, int((size[1] - roof) / cell / 1.5)):
                    if self._random.random() < 0.16 + 0.14 * depth:
                        left, above = x + column * cell, roof + row * 1.5 * cell
                        box = (left - 0.28 * cell, above, left + 0.28 * cell, above + 0.6 * cell)
                        shine = self._random.uniform(0.25, 0.8)
                        lamp.rectangle(box, fill=mixed(colour, self.palette.sun, shine))
            x += across + cell * self._random.choice((0, 0, 0.5, 1.5))
        return _Layer(colour, mask, round(upper), travel, houses=houses)

    def _draw_water(self, image: Image.Image) -> None:
        """Draw the sea below the horizon."""
        pen, top = ImageDraw.Draw(image), round(_HORIZON * self._height)
        rows = max(1, self._height - top)
        step = max(1, self._height // 180)
        for row in range(0, rows, step):
            shade = mixed(self.palette.sky[2], self.palette.near, 0.25 + 0.6 * row / rows)
            pen.rectangle((0, top + row, self._width, top + row + step), fill=shade)

    def _draw_shimmer(self, image: Image.Image, share: float) -> None:
        """Draw the sun's shimmer on the sea."""
        pen, top = ImageDraw.Draw(image), round(_HORIZON * self._height)
        rows, step = max(1, self._height - top), max(1, self._height // 180)
        for row in range(step, rows, 3 * step):
            wobble = math.sin(row * 0.9 + share * 40) + math.sin(row * 0.37 - share * 23)
            half = self._height * (0.03 + 0.12 * row / rows) * (0.55 + 0.22 * wobble)
            x = self._sun_x + self._height * 0.012 * math.sin(row * 1.7 + share * 30)
            shade = mixed(self.palette.sun, self.palette.near, 0.15 + 0.6 * row / rows)
            pen.rectangle((x - half, top + row, x + half, top + row + step - 1), fill=shade)


def _swell(random: Random, swells: float) -> Profile:
    """Return a smooth profile with about so many crests to a width."""
    parts = [(swells * 2**each, random.random() * math.tau, 0.5**each) for each in range(3)]
    return lambda at: (
        0.5
        + 0.28 * sum(size * math.sin(math.tau * often * at + phase) for often, phase, size in parts)
    )


def _rugged(random: Random, roughness: float) -> Profile:
    """Return the profile of mountains, by midpoint displacement."""
    heights: Sequence[float] = [random.random() for _ in range(5)]
    spread = 0.5
    for _ in range(5):
        between = [
            (one + other) / 2 + (random.random() - 0.5) * spread for one, other in pairwise(heights)
        ]
        heights = [
            *(each for pair in zip(heights, between, strict=False) for each in pair),
            heights[-1],
        ]
        spread *= roughness
    least, most = min(heights), max(heights)
    level = [(height - least) / (most - least) for height in heights]

    def profile(at: float) -> float:
        place = at / (1 + _DRIFT) * (len(level) - 1)
        before = min(int(place), len(level) - 2)
        return level[before] + (level[before + 1] - level[before]) * min(1.0, place - before)

    return profile


def _soft_disc(side: int, *, core: float) -> Image.Image:
    """Return the mask of a sun: a disc of a radius of `core` sides, in its own glow."""
    # Drawn small and enlarged: a blur of this width is slow and has no detail to lose.
    small = Image.new("L", (96, 96))
    middle, radius = 48, 96 * core
    ImageDraw.Draw(small).ellipse((middle - 17, middle - 17, middle + 17, middle + 17), fill=165)
    glow = small.filter(ImageFilter.GaussianBlur(13)).resize((side, side), Image.Resampling.BICUBIC)
    disc = Image.new("L", (8 * 96, 8 * 96))
    edge = 8 * radius
    ImageDraw.Draw(disc).ellipse((384 - edge, 384 - edge, 384 + edge, 384 + edge), fill=255)
    disc = disc.resize((side, side), Image.Resampling.LANCZOS)
    glow.paste(255, None, disc)
    return glow
