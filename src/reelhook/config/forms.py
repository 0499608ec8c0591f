"""Forms of texts in files of settings, which messages give in words."""

import re

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError


def formed(pattern: str, in_words: str) -> AfterValidator:
    """Return the check of a text's form; `in_words` is the form as its message gives it."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise PydanticCustomError("form", "must be {form}", {"form": in_words})
        return text

    return AfterValidator(check)
