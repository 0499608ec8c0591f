"""One line of text for an error, short enough to stand inside a sentence."""

ERROR_CHARACTERS_MAX = 300


def error_text(error: BaseException) -> str:
    """Return the first line of an error's text. A timeout has none, so it gets a fixed text."""
    text = " ".join(str(error).partition("\n")[0].split()) or "it did not respond in time"
    return text if len(text) <= ERROR_CHARACTERS_MAX else text[:ERROR_CHARACTERS_MAX] + "..."
