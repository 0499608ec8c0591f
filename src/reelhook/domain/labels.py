"""Labels: a client's own id for a job, and its own metadata. They never change."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.job import Job
from reelhook.domain.problem import Problem
from reelhook.domain.request import check_text

EXTERNAL_ID_CHARACTERS_MAX = 128
METADATA_MAX = 16
METADATA_NAME_CHARACTERS_MAX = 64
METADATA_VALUE_CHARACTERS_MAX = 512


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels of one job."""

    external_id: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def metadata_json(self) -> str | None:
        """The metadata as JSON, equal for equal metadata; None if there is none."""
        if not self.metadata:
            return None
        return json.dumps(dict(self.metadata), sort_keys=True, ensure_ascii=False)


NO_LABELS = Labels()


def check_labels(labels: Labels) -> None:
    """Raise `InvalidRequestError` for labels that are too long, or not text."""
    if labels.external_id is not None:
        check_text("external_id", labels.external_id, EXTERNAL_ID_CHARACTERS_MAX)
    if not isinstance(labels.metadata, Mapping):
        raise InvalidRequestError("metadata", Problem.NOT_AN_OBJECT)
    if len(labels.metadata) > METADATA_MAX:
        raise InvalidRequestError("metadata", Problem.TOO_MANY, limit=METADATA_MAX)
    for name, value in labels.metadata.items():
        _check_name(name)
        check_text(f"metadata.{name}", value, METADATA_VALUE_CHARACTERS_MAX, empty=True)


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not 0 < len(name) <= METADATA_NAME_CHARACTERS_MAX:
        limit = METADATA_NAME_CHARACTERS_MAX
        raise InvalidRequestError("metadata", Problem.NAME_LENGTH, limit=limit)
    check_text("metadata", name, METADATA_NAME_CHARACTERS_MAX)


def labels_of(job: Job) -> Labels:
    """Return the labels of a job."""
    return Labels(job.external_id, {} if job.metadata is None else json.loads(job.metadata))
