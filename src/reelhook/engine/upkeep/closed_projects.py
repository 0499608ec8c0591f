"""Closed projects: removes their data once everything in them has ended, a little at a time."""

import structlog

from reelhook.core.wakeups import Signals
from reelhook.engine.runner import RunningTasks
from reelhook.engine.upkeep.retention import PAUSE_SECONDS, PAUSE_SHARE
from reelhook.ports import Clock, ClosedProjectStore, DataRemoval

log = structlog.get_logger()
LOOK_SECONDS = 5.0
"""The time between two looks at a project in which something is unfinished."""


class ClosedProjects:
    """Removes the data of projects that were closed for it."""

    name = "closed_projects"

    def __init__(self, store: ClosedProjectStore, signals: Signals, *, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self.signal = signals.closed_projects
        self.tasks = RunningTasks(self.signal)

    async def tick(self) -> float | None:
        """Remove one batch of each project; see `Loop`. After a restart it continues there."""
        began_at = self._clock.now()
        outcomes = set[DataRemoval]()
        for project in await self._store.projects_to_empty():
            outcome = await self._store.remove_project_data(project, self._clock.now())
            if outcome is DataRemoval.DONE:
                log.info("project.data_deleted", project=project)
            outcomes.add(outcome)
        if DataRemoval.BEGUN in outcomes:
            took = (self._clock.now() - began_at) / 1000
            return max(PAUSE_SECONDS, PAUSE_SHARE * took)
        return LOOK_SECONDS if DataRemoval.IN_USE in outcomes else None
