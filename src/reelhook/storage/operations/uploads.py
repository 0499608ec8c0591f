"""Operations on uploads: files that are kept although no request refers to them yet."""

from collections.abc import Sequence

from reelhook.domain.event import Instant
from reelhook.domain.media import File
from reelhook.domain.upload import UploadsFullError
from reelhook.storage.operation import Operation, Statement
from reelhook.storage.operations import files

_KEEP = (
    "INSERT INTO uploads (project, hash, size, kept_until) VALUES (?1, ?2, ?3, ?4)"
    " ON CONFLICT (project, hash) DO UPDATE SET kept_until = excluded.kept_until"
    " WHERE uploads.kept_until < excluded.kept_until"
)


def keep(project: str, file: File, now: Instant, until: Instant, bytes_max: int) -> Operation[None]:
    """Keep a file until that time at least. Raises `UploadsFullError`."""
    size = len(file.body)
    rows = yield Statement(
        "SELECT CAST(coalesce(sum(size), 0) AS BIGINT) FROM uploads"
        " WHERE project = ?1 AND hash <> ?2",
        (project, file.hash),
    )
    if rows[0][0] + size > bytes_max:
        raise UploadsFullError(rows[0][0], bytes_max // 1024**2)
    yield from files.keep(project, [file], now)
    yield Statement(_KEEP, (project, file.hash, size, until))


def hold(project: str, hashes: Sequence[str], until: Instant) -> Operation[dict[str, str]]:
    """Keep uploads longer; return the content types of those that exist, by their hashes."""
    found: dict[str, str] = {}
    for file_hash in sorted(hashes):
        rows = yield Statement(
            "SELECT f.content_type FROM uploads u JOIN files f"
            " ON f.project = u.project AND f.hash = u.hash"
            " WHERE u.project = ?1 AND u.hash = ?2 /*pg FOR UPDATE OF u */",
            (project, file_hash),
        )
        if rows:
            found[file_hash] = rows[0][0]
            yield Statement(
                "UPDATE uploads SET kept_until = ?3"
                " WHERE project = ?1 AND hash = ?2 AND kept_until < ?3",
                (project, file_hash, until),
            )
    return found
