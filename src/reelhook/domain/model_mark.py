"""A job's id in the name of a model, by which some listings show whose create made a video.

Some servers ignore the name of the model and show it again in their listing, which shows no
prompt. There the id behind the name says whose create made an entry.
"""

import re

_MARKED = re.compile(r"(.+)#(job_[0-9a-z]{26})", re.DOTALL)


def marked(model: str, job_id: str) -> str:
    """Return the name with the job's id behind it."""
    return f"{model}#{job_id}"


def unmarked(model: str) -> tuple[str, str | None]:
    """Return a name without the id that stands behind it, and the id; None where there is none."""
    if "#" not in model:  # almost all, of very many
        return model, None
    found = _MARKED.fullmatch(model)
    return (found[1], found[2]) if found else (model, None)
