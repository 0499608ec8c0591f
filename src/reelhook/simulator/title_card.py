"""Draws the frames of a simulated video: scenery, and the prompt, lit up word by word."""

import math

from PIL import Image, ImageChops, ImageDraw

from reelhook.simulator.job import VideoSpec
from reelhook.simulator.palettes import mixed
from reelhook.simulator.scenery import Scenery
from reelhook.simulator.typesetting import Setting, fit, font_of

SIZES = (0.062, 0.052, 0.044, 0.037, 0.031, 0.026)
"""Sizes of the prompt to try, in shares of the root of the frame's area."""

_WHITE = (250, 250, 252)
_UNLIT = 150
"""The brightness of a word that is not lit yet, of 255."""
_LABEL = "REELHOOK SIMULATOR"
_WORDS_FADING = 4.0
_READ_SHARE = 0.8
"""The share of the video after which every word is lit."""
_SHADE = 190
"""The darkness of the lower edge below the prompt, of 255."""


class TitleCard:
    """The frames of one video. Parts that never change are drawn once."""

    def __init__(self, video: VideoSpec) -> None:
        self._video = video
        self._unit = math.sqrt(video.width * video.height)
        self._margin = round(0.075 * min(video.width, video.height))
        self._small = font_of(0.021 * self._unit)
        self._scenery = Scenery(video.prompt, video.width, video.height)
        self._setting = self._set_prompt()
        below = self._margin + 3.4 * self._small.size
        self._text_at = (self._margin, round(video.height - below - self._setting.height))
        self._text = self._text_mask()
        self._shade_top = max(0, self._text_at[1] - round(0.16 * video.height))
        self._shade = self._shade_mask()
        self._labels = self._draw_labels()

    def frame(self, at_seconds: float) -> Image.Image:
        """Return the frame at this time of the video."""
        share = at_seconds / self._video.seconds
        image = self._scenery.frame(share)
        image.paste((8, 8, 16), (0, self._shade_top), self._shade)
        # The scenery lies under the text, so the whole text is pasted in every frame.
        lit = ImageChops.multiply(self._text, self._lit_words(share))
        image.paste(_WHITE, self._text_at, lit)
        for at, label in self._labels:
            image.paste(_WHITE, at, label)
        self._draw_progress(image, share, at_seconds)
        return image

    def _set_prompt(self) -> Setting:
        return fit(
            self._video.prompt,
            width=self._video.width - 2 * self._margin,
            height=0.5 * self._video.height,
            sizes=[size * self._unit for size in SIZES],
        )

    def _text_mask(self) -> Image.Image:
        size = (self._video.width - self._margin, max(1, math.ceil(self._setting.height)))
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

    def _shade_mask(self) -> Image.Image:
        """Return the mask that darkens the lower part, so that the prompt can be read on it."""
        size = (self._video.width, max(1, self._video.height - self._shade_top))
        shade = Image.linear_gradient("L").resize(size, Image.Resampling.BICUBIC)
        return shade.point([min(_SHADE, round(1.7 * _SHADE * value / 255)) for value in range(256)])

    def _draw_labels(self) -> list[tuple[tuple[int, int], Image.Image]]:
        """Return the masks of the two labels, and where they are."""
        video, margin, dot = self._video, self._margin, 0.009 * self._unit
        height = math.ceil(2 * self._small.size)
        name = Image.new("L", (math.ceil(26 * self._small.size), height))
        pen = ImageDraw.Draw(name)
        name.paste(_disc(max(1, round(2 * dot))), (0, round(height / 2 - dot)))
        x = 4 * dot
        for letter in _LABEL:
            pen.text((x, height / 2), letter, fill=200, font=self._small, anchor="lm")
            x += self._small.getlength(letter) + 0.14 * self._small.size
        text = f"{video.width} x {video.height}"
        across = math.ceil(self._small.getlength(text)) + 1
        size = Image.new("L", (across, height))
        below = ImageDraw.Draw(size)
        below.text((across, height / 2), text, fill=180, font=self._small, anchor="rm")
        middle = round(margin + self._small.size / 2 - height / 2)
        foot = round(video.height - margin - 0.35 * self._small.size - height / 2)
        return [((margin, middle), name), ((video.width - margin - across, foot), size)]

    def _draw_progress(self, image: Image.Image, share: float, at_seconds: float) -> None:
        pen = ImageDraw.Draw(image)
        sun = self._scenery.palette.sun
        left, right = self._margin, self._video.width - self._margin
        bottom = self._video.height - self._margin - 2.1 * self._small.size
        top = bottom - max(2.0, 0.004 * self._unit)
        pen.rectangle((left, top, right, bottom), fill=mixed((8, 8, 16), sun, 0.3))
        pen.rectangle((left, top, left + share * (right - left), bottom), fill=sun)
        pen.text(
            (left, self._video.height - self._margin),
            f"{_timecode(at_seconds)} / {_timecode(self._video.seconds)}",
            fill=(214, 216, 224),
            font=self._small,
            anchor="ls",
        )


def _disc(diameter: int) -> Image.Image:
    # Pillow draws without anti-aliasing, so a large one is made small.
    large = Image.new("L", (128, 128))
    ImageDraw.Draw(large).ellipse((0, 0, 127, 127), fill=255)
    return large.resize((diameter, diameter), Image.Resampling.LANCZOS)


def _timecode(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes):02}:{rest:04.1f}"
