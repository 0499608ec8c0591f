"""A job's id after a model's name: in some listings it identifies the create of an entry.

Some servers ignore the model's name and repeat it in their listing, which has no prompts. There
the id after the name identifies the job.
"""

import re

_MARKED = re.compile(r"(.+)#(job_[0-9a-z]{26})", re.DOTALL)


def marked(model: str, job_id: str) -> str:
    """Return the name followed by the job's id."""
    return f"{model}#{job_id}"


def unmarked(model: str) -> tuple[str, str | None]:
    """Return a name without the id that follows it, and the id or None."""
    if "#" not in model:  # almost all, of very many
        return model, None
    found = _MARKED.fullmatch(model)
    return (found[1], found[2]) if found else (model, None)
