"""Sets a prompt in words and lines, in the font that comes with Pillow."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from PIL import ImageFont

PROMPT_CHARACTERS_MAX = 600
"""The most characters of a prompt that are set; smaller print would be unreadable."""

LINE_HEIGHT = 1.32
"""In font sizes."""

_SIMPLER = str.maketrans("–—−×‘’“”•łŁøØđĐßæÆœŒ", "---x''\"\"*lLoOdDsaAoO")  # noqa: RUF001 - meant
_SAMPLE_SIZE = 16
# No font has a glyph for a noncharacter, so it is drawn as the sign for a missing glyph.
_NONCHARACTER = "\uffff"


@dataclass(frozen=True, slots=True)
class Word:
    """A word and where its line starts drawing it, in pixels within the text's box."""

    text: str
    x: float
    y: float
    width: float


@dataclass(frozen=True, slots=True)
class Setting:
    """A typeset text: its words in reading order, its font, its height in pixels."""

    words: tuple[Word, ...]
    font: ImageFont.FreeTypeFont
    height: float


def font_of(size: float) -> ImageFont.FreeTypeFont:
    """Return the bundled font at this size in pixels."""
    font = ImageFont.load_default(max(5, round(size)))
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise TypeError("this Pillow was built without FreeType")
    return font


def fit(text: str, *, width: float, height: float, sizes: Sequence[float]) -> Setting:
    """Set the text in the first of `sizes` that fits the box, or in the last, cut to fit."""
    words = drawable(text).split()
    for size in sizes:
        setting = _set(words, font_of(size), width)
        if setting.height <= height:
            return setting
    return _cut(setting, height)


def drawable(text: str) -> str:
    """Return the start of the text. Simpler characters replace those without a glyph, if any do."""
    start = text[:PROMPT_CHARACTERS_MAX] + ("…" if len(text) > PROMPT_CHARACTERS_MAX else "")
    return "".join(_simplified(character) for character in start)


def _simplified(character: str) -> str:
    if character.isspace() or unicodedata.category(character) in {"Cc", "Cf", "Mn", "Cs"}:
        return " " if character.isspace() else ""
    if _has_glyph(character):
        return character
    simpler = unicodedata.normalize("NFKD", character.translate(_SIMPLER))
    bare = "".join(part for part in simpler if not unicodedata.combining(part))
    return bare if bare and all(map(_has_glyph, bare)) else character


@lru_cache(maxsize=4096)
def _has_glyph(character: str) -> bool:
    font = font_of(_SAMPLE_SIZE)
    return bytes(font.getmask(character)) != bytes(font.getmask(_NONCHARACTER))


def _set(words: Sequence[str], font: ImageFont.FreeTypeFont, width: float) -> Setting:
    line_height = LINE_HEIGHT * font.size
    placed: list[Word] = []
    x = y = 0.0
    for piece in _pieces(words, font, width):
        advance = font.getlength(piece)
        if x > 0 and x + advance > width:
            x, y = 0.0, y + line_height
        placed.append(Word(piece, x, y, advance))
        x += advance + font.getlength(" ")
    return Setting(tuple(placed), font, y + line_height)


def _pieces(words: Sequence[str], font: ImageFont.FreeTypeFont, width: float) -> Iterator[str]:
    """Break words that are longer than a line, which is usual in languages without spaces."""
    for word in words:
        rest = word
        while font.getlength(rest) > width and len(rest) > 1:
            length = _characters_that_fit(rest, font, width)
            yield rest[:length]
            rest = rest[length:]
        yield rest


def _characters_that_fit(text: str, font: ImageFont.FreeTypeFont, width: float) -> int:
    lengths = range(2, len(text) + 1)
    fitting = (length for length in lengths if font.getlength(text[:length]) > width)
    return next(islice(fitting, 1), len(text) + 1) - 1


def _cut(setting: Setting, height: float) -> Setting:
    line_height = LINE_HEIGHT * setting.font.size
    words = tuple(word for word in setting.words if word.y + line_height <= height)
    return Setting(words, setting.font, min(setting.height, height))
