"""The forms in which a listing shows prompts: verbatim, or altered like servers do."""

import html
import re
import unicodedata
from enum import StrEnum
from typing import assert_never

_SHORT_CHARACTERS = 20


class Prompts(StrEnum):
    """The alteration of a prompt before it is shown."""

    SHOWN = "shown"
    HIDDEN = "hidden"
    SHORTENED = "shortened"
    MASKED = "masked"
    ESCAPED = "escaped"
    NORMALISED = "normalised"
    EXTENDED = "extended"

    def show(self, prompt: str) -> str | None:
        """Return the prompt as it is shown, or None if it is not."""
        match self:
            case Prompts.SHOWN:
                return prompt
            case Prompts.HIDDEN:
                return None
            case Prompts.SHORTENED:
                short = prompt[:_SHORT_CHARACTERS]
                return prompt if short == prompt else f"{short}..."
            case Prompts.MASKED:
                return re.sub(r"\d+|\w{9,}", "***", prompt)
            case Prompts.ESCAPED:
                return html.escape(prompt)
            case Prompts.NORMALISED:
                return " ".join(unicodedata.normalize("NFC", prompt).split())
            case Prompts.EXTENDED:
                return f"Cinematic, high detail. {prompt}"
            case _:
                assert_never(self)
