"""The check of a filter for jobs."""

from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.labels import METADATA_MAX, Labels, check_labels
from reelhook.domain.problem import Problem
from reelhook.domain.request import SHORT_CHARACTERS_MAX, check_text
from reelhook.ports import JobFilter


def check_filter(wanted: JobFilter) -> None:
    """Raise `InvalidRequestError` for a filter that no job can match."""
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
