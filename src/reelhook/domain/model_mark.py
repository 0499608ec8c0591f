"""Marks: a job's id after the model's name, by which some listings identify its create.

Some servers ignore the model's name and repeat it in their listing, which has no prompts. There the
mark identifies the job.
"""

import re

_MARKED = re.compile(r"(.+)#(job_[0-9a-z]{26})", re.DOTALL)


def marked(model: str, job_id: str) -> str:
    """Return the name followed by the job's id."""
    return f"{model}#{job_id}"


def unmarked(model: str) -> tuple[str, str | None]:
    """Return a name without the id that follows it, and the id or None."""
    if "#" not in model:  # the usual case, and called often
        return model, None
    found = _MARKED.fullmatch(model)
    return (found[1], found[2]) if found else (model, None)
