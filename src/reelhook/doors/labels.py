"""Labels and priority in bodies of requests and responses."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from reelhook.domain.errors import InvalidRequestError
from reelhook.domain.job import Job
from reelhook.domain.labels import (
    EXTERNAL_ID_CHARACTERS_MAX,
    METADATA_MAX,
    METADATA_NAME_CHARACTERS_MAX,
    METADATA_VALUE_CHARACTERS_MAX,
    Labels,
    labels_of,
)
from reelhook.domain.priority import PRIORITIES, Priority, priority_of
from reelhook.domain.problem import Problem
from reelhook.doors.fields import Schema, documented, is_absent


def with_few_names(metadata: Any) -> Any:
    """Return metadata, unchecked but for its number of names. Raises `InvalidRequestError`.

    It comes before other checks, which make an error for each wrong value.
    """
    if isinstance(metadata, dict) and len(metadata) > METADATA_MAX:
        raise InvalidRequestError("metadata", Problem.TOO_MANY, limit=METADATA_MAX)
    return metadata


ExternalId = Annotated[str, documented(minLength=1, maxLength=EXTERNAL_ID_CHARACTERS_MAX)]
_Value = Annotated[str, documented(maxLength=METADATA_VALUE_CHARACTERS_MAX)]
Metadata = Annotated[
    dict[str, _Value],
    BeforeValidator(with_few_names),
    Field(
        json_schema_extra={
            "maxProperties": METADATA_MAX,
            "propertyNames": {"minLength": 1, "maxLength": METADATA_NAME_CHARACTERS_MAX},
        }
    ),
]
PriorityName = Annotated[str, Field(strict=True, json_schema_extra={"enum": list(PRIORITIES)})]


class LabelledBody(Schema):
    """The labels of a new job."""

    external_id: ExternalId | None = Field(
        None, description="Your own id for the job; several jobs may have the same"
    )
    metadata: Metadata | None = Field(
        None, description="Your own names and values; shown wherever the job is"
    )

    @property
    def labels(self) -> Labels:
        """The labels in the domain's form."""
        return Labels(self.external_id, self.metadata or {})


class LabelledResponse(Schema):
    """The labels of a job; absent if it has none."""

    external_id: str | None = Field(
        None, exclude_if=is_absent, description="Your own id for the job; absent if none"
    )
    metadata: dict[str, str] | None = Field(
        None, exclude_if=is_absent, description="Your own names and values; absent if none"
    )


def priority_named(word: str | None) -> Priority:
    """Return the priority of this name; no name means normal. Raises `InvalidRequestError`."""
    return Priority.NORMAL if word is None else priority_of(word)


def label_fields(job: Job) -> dict[str, Any]:
    """Return the fields of a `LabelledResponse`."""
    labels = labels_of(job)
    return {"external_id": labels.external_id, "metadata": labels.metadata or None}
