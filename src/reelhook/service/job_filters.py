"""Checks filters for jobs, and limits them to what a caller may see."""

from dataclasses import replace

from reelhook.domain.caller import Caller
from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.labels import METADATA_MAX, Labels, check_labels
from reelhook.domain.problem import Problem
from reelhook.domain.request import SHORT_CHARACTERS_MAX, check_text
from reelhook.ports import JobFilter


def seen_by(caller: Caller, wanted: JobFilter) -> JobFilter:
    """Return the filter, limited to the jobs that the caller may see.

    Raises `InvalidRequestError` for a filter that no job can match.
    """
    _check(wanted)
    return wanted if caller.sees is None else replace(wanted, project=caller.sees)


def _check(wanted: JobFilter) -> None:
    for name, value in (
        ("model", wanted.model),
        ("code", wanted.code),
        ("account", wanted.account),
        ("endpoint", wanted.endpoint_id),
        ("text", wanted.text),
    ):
        if value is not None:
            check_text(name, value, SHORT_CHARACTERS_MAX)
    check_labels(Labels(wanted.external_id))
    for name, value in wanted.metadata:
        check_labels(Labels(None, {name: value}))
    if len(wanted.metadata) > METADATA_MAX:
        raise InvalidRequestError("metadata", Problem.TOO_MANY, limit=METADATA_MAX)
