"""Draws the title card that a simulated video shows: the prompt, lit up word by word."""

import colorsys
import hashlib
import math
from dataclasses import dataclass

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from reelhook.simulator.job import VideoSpec
from reelhook.simulator.typesetting import Setting, fit, font_of

Colour = tuple[int, int, int]

SIZES = (0.088, 0.074, 0.062, 0.052, 0.044, 0.037, 0.031, 0.026)
"""Sizes of the prompt to try, in shares of the root of the frame's area."""

_UNLIT = 62
"""The brightness of a word that is not lit yet, of 255."""
_LABEL = "REELHOOK SIMULATOR"
_WORDS_FADING = 4.0
_READ_SHARE = 0.8
"""The share of the video after which every word is lit."""


@dataclass(frozen=True, slots=True)
class _Palette:
    dark: Colour
    light: Colour
    glow: Colour
    accent: Colour


class TitleCard:
    """The frames of one video. Parts that never change are drawn once."""

    def __init__(self, video: VideoSpec) -> None:
        self._video = video
        self._unit = math.sqrt(video.width * video.height)
        self._margin = round(0.085 * min(video.width, video.height))
        self._small = font_of(0.021 * self._unit)
        self._palette = _palette(video.prompt)
        self._setting = self._set_prompt()
        self._text_at = (self._margin, round((video.height - self._setting.height) / 2))
        self._text = self._text_mask()
        self._glow = self._glow_mask()
        self._still = self._draw_still()

    def frame(self, at_seconds: float) -> Image.Image:
        """Return the frame at this time of the video."""
        share = at_seconds / self._video.seconds
        image = self._still.copy()
        self._paste_glow(image, share)
        # The glow lies under the text, so the whole text is pasted in every frame.
        lit = ImageChops.multiply(self._text, self._lit_words(share))
        image.paste((244, 244, 248), self._text_at, lit)
        self._draw_progress(image, share, at_seconds)
        return image

    def _set_prompt(self) -> Setting:
        return fit(
            self._video.prompt,
            width=self._video.width - 2 * self._margin,
            height=0.66 * self._video.height,
            sizes=[size * self._unit for size in SIZES],
        )

    def _text_mask(self) -> Image.Image:
        size = (self._video.width - self._margin, math.ceil(self._setting.height))
        mask = Image.new("L", size)
        pen = ImageDraw.Draw(mask)
        for word in self._setting.words:
            pen.text((word.x, word.y), word.text, fill=255, font=self._setting.font)
        return mask

    def _lit_words(self, share: float) -> Image.Image:
        words = self._setting.words
        front = share / _READ_SHARE * (len(words) + _WORDS_FADING)
        lit = Image.new("L", self._text.size, _UNLIT)
        pen = ImageDraw.Draw(lit)
        line_height = self._setting.height / max(1, len({word.y for word in words}))
        for number, word in enumerate(words):
            faded_in = min(1.0, max(0.0, (front - number) / _WORDS_FADING))
            brightness = round(_UNLIT + (255 - _UNLIT) * faded_in)
            box = (word.x - 1, word.y, word.x + word.width + 1, word.y + line_height)
            pen.rectangle(box, fill=brightness)
        return lit

    def _glow_mask(self) -> Image.Image:
        side = round(0.72 * self._unit)
        # Drawn small and enlarged: a blur of this width is slow and has no detail to lose.
        small = Image.new("L", (64, 64))
        ImageDraw.Draw(small).ellipse((17, 17, 47, 47), fill=190)
        blurred = small.filter(ImageFilter.GaussianBlur(8))
        return blurred.resize((side, side), Image.Resampling.BICUBIC)

    def _paste_glow(self, image: Image.Image, share: float) -> None:
        angle = 2 * math.pi * (0.12 + 0.35 * share)
        x = self._video.width * (0.62 + 0.22 * math.cos(angle)) - self._glow.width / 2
        y = self._video.height * (0.40 + 0.24 * math.sin(angle)) - self._glow.height / 2
        image.paste(self._palette.glow, (round(x), round(y)), self._glow)

    def _draw_still(self) -> Image.Image:
        size = (self._video.width, self._video.height)
        gradient = Image.linear_gradient("L").rotate(-28, Image.Resampling.BICUBIC)
        # The middle of the turned square has no blank corners.
        shade = gradient.crop((48, 48, 208, 208)).resize(size, Image.Resampling.BICUBIC)
        image = Image.composite(
            Image.new("RGB", size, self._palette.light),
            Image.new("RGB", size, self._palette.dark),
            shade,
        )
        # A little grain, so that the gradient shows no bands.
        grain = Image.effect_noise(size, 3.0).convert("RGB")
        image = ImageChops.add(image, grain, offset=-128)
        self._draw_labels(image)
        return image

    def _draw_labels(self, image: Image.Image) -> None:
        pen = ImageDraw.Draw(image)
        video, margin, dot = self._video, self._margin, 0.009 * self._unit
        top = margin + self._small.size / 2
        image.paste(self._palette.accent, (margin, round(top - dot)), _disc(round(2 * dot)))
        x = margin + 4 * dot
        for letter in _LABEL:
            pen.text((x, top), letter, fill=(190, 192, 204), font=self._small, anchor="lm")
            x += self._small.getlength(letter) + 0.14 * self._small.size
        pen.text(
            (video.width - margin, video.height - margin),
            f"{video.width} x {video.height}",
            fill=(150, 152, 166),
            font=self._small,
            anchor="rs",
        )

    def _draw_progress(self, image: Image.Image, share: float, at_seconds: float) -> None:
        pen = ImageDraw.Draw(image)
        left, right = self._margin, self._video.width - self._margin
        bottom = self._video.height - self._margin - 2.1 * self._small.size
        top = bottom - max(2.0, 0.004 * self._unit)
        pen.rectangle((left, top, right, bottom), fill=(62, 64, 78))
        pen.rectangle((left, top, left + share * (right - left), bottom), fill=self._palette.accent)
        pen.text(
            (left, self._video.height - self._margin),
            f"{_timecode(at_seconds)} / {_timecode(self._video.seconds)}",
            fill=(190, 192, 204),
            font=self._small,
            anchor="ls",
        )


def _palette(prompt: str) -> _Palette:
    """Choose colours by the prompt, so that videos differ at a glance."""
    digest = hashlib.sha256(prompt.encode("utf-8", "replace")).digest()
    # From teal over blue to wine red: dark yellows and greens look like mud.
    hue = 0.48 + 0.46 * digest[0] / 255
    return _Palette(
        dark=_colour(hue, 0.60, 0.075),
        light=_colour(hue + 0.04, 0.62, 0.27),
        glow=_colour(hue + 0.07, 0.66, 0.62),
        accent=_colour(hue + 0.42, 0.45, 0.98),
    )


def _colour(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


def _disc(diameter: int) -> Image.Image:
    # Pillow draws without anti-aliasing, so a large one is made small.
    large = Image.new("L", (128, 128))
    ImageDraw.Draw(large).ellipse((0, 0, 127, 127), fill=255)
    side = max(1, diameter)
    return large.resize((side, side), Image.Resampling.LANCZOS)


def _timecode(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes):02}:{rest:04.1f}"
