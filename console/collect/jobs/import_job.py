# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stores one job of AWX or ansible-runner, in batches of its events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.fleetops.agents.plugins.module_utils._client.redact import Redactor
from console.collect.jobs.events import JobReader
from console.collect.jobs.job import Job
from console.collect.progress import ReadReport
from console.collect.run_events import EventError
from console.record.rows import Cursor
from console.record.write import jobs
from console.record.write.store import Store


@dataclass
class ImportReport(ReadReport):
    """What one import did. ``joined``: jobs that the callback recorded too; ``waiting``: ended, not yet complete."""

    source: str
    jobs: int = 0
    events: int = 0
    known: int = 0
    joined: int = 0
    waiting: int = 0

    @property
    def summary(self) -> str:
        """One line of figures."""
        parts = [f"{self.source}: jobs read {self.jobs}", f"events {self.events}", f"already stored {self.known}"]
        if self.joined:
            parts.append(f"also recorded by the run log {self.joined}")
        if self.waiting:
            parts.append(f"left for the next sync {self.waiting}")
        return ", ".join(parts)


class StoredByAnother(Exception):
    """Another sync has stored events of the same job in the meantime, and continues with it."""


class JobImport:
    """Stores the events of a job, starting after those that are stored. ``name`` is the job's name in messages.

    ``redactor`` may be replaced between two batches.
    """

    def __init__(self, store: Store, job: Job, name: str, redactor: Redactor) -> None:
        self._store, self._job, self._name, self.redactor = store, job, name, redactor
        self.cursor = store.cursor(job.source, job.key)
        self.events, self.unknown = 0, Counter[str]()
        self.bad: list[str] = []

    @property
    def position(self) -> int:
        """The counter up to which events are stored."""
        return (self.cursor.position or 0) if self.cursor else 0

    @property
    def joined(self) -> bool:
        """Whether the callback has recorded the same run, so that its record shows this job."""
        return jobs.shown_by(self._store, self._job.key) not in (None, self._job.key)

    def put(self, events: Iterable[Any], *, position: int, complete: bool, **more: Any) -> None:
        """Store ``events`` up to counter ``position``, in order; ``more`` is remembered in the cursor's state.

        ``complete``: these are the last events of a job that has ended. Raises StoredByAnother.
        """
        before = self.cursor
        reader = JobReader(self._job, state=before.state if before else None, redactor=self.redactor)
        cursor = replace(before or Cursor(self._job.source, self._job.key), position=position)
        for event in events:
            try:
                self.events += reader.feed(event)
            except EventError as error:
                cursor.bad_lines += 1
                cursor.last_error = f"{self._name}: a record is not an event: {error}."
                self.bad.append(str(error))
        reader.settle(self._job)
        self.unknown += reader.unknown
        cursor.state = {**reader.state, **more}
        run = reader.run
        row = {**self._job.row, "first_play": reader.state.get("first_play"), "complete": int(complete)}
        row["started_at"] = row["started_at"] or run["started_at"]
        if self._job.ended:
            row["finished_at"] = row["finished_at"] or run["ended_at"]
        row["playbook"] = row["playbook"] or run["playbook"]
        if not row["first_play"]:
            row["explanation"] = row["explanation"] or reader.state.get("error")
        if not self._store.put_run(reader.take(), cursor, after=before.position if before else None, job=row):
            raise StoredByAnother
        self.cursor = cursor

    def forget(self) -> None:
        """Start again at the first event. Rows are keyed by counter, so nothing is stored twice."""
        if self.cursor is not None:
            self.cursor.state = {}
            self.cursor.bad_lines, self.cursor.last_error = 0, None

    def add_to(self, report: ImportReport) -> None:
        report.jobs += 1
        report.events += self.events
        report.joined += int(self.joined)
        if self.unknown:
            kinds = ", ".join(sorted(self.unknown))
            report.notes.append(
                f"{self._name}: {sum(self.unknown.values())} event(s) of unknown kinds ({kinds}) were counted but are"
                " not shown; the rest is stored."
            )
        if self.bad:
            report.problems.append(
                f"{self._name}: {len(self.bad)} record(s) are not events ({self.bad[0]}); the rest is stored."
            )
