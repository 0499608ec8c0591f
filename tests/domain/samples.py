"""Jobs and reports for the tests, and hypothesis strategies that draw them."""

from dataclasses import replace
from random import Random

from hypothesis import strategies as st

from reelhook.domain.job import Job, Status
from reelhook.domain.report import Failed, Finished, Missing, Progress, Report, Unknown

NOW = 1_767_225_600_000  # 2026-01-01T00:00:00Z
MINUTE = 60_000
ACCEPTED = Job(id="job_1", account="acme", status=Status.ACCEPTED, created_at=NOW, updated_at=NOW)
SUBMITTING = ACCEPTED.submitting(NOW)
QUEUED = SUBMITTING.accept("video_1", NOW)
IN_DOUBT = SUBMITTING.in_doubt(NOW)
UNENDED = (ACCEPTED, SUBMITTING, IN_DOUBT, QUEUED, replace(QUEUED, status=Status.PROCESSING))


def seeded(seed: int) -> Random:
    """Return chance that comes out the same every time."""
    return Random(seed)


words = st.text(max_size=20)
progress_reports = st.builds(
    Progress, running=st.booleans(), percent=st.none() | st.sampled_from([0, 1, 50, 99, 100])
)
reports: st.SearchStrategy[Report] = st.one_of(
    progress_reports,
    st.builds(Finished, url=words, expires_at=st.none() | st.integers(0, 2**40)),
    st.builds(Failed, code=st.sampled_from(["moderation", "provider_error"]), message=words),
    st.builds(Unknown, status=words),
    st.just(Missing()),
)
