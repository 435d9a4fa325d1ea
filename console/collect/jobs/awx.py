# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Imports the ended jobs of AWX and their events into the store, in the order in which they ended.

The events of a job are fetched once AWX has processed all of them (``event_processing_finished``, which is only in the
job's detail record). They are fetched in batches by counter, so that an interrupted import continues with the next one.
If the run log's callback has recorded the run too, only the record of the job is stored, without its events.

AWX can lose events permanently (if its dispatcher is killed), and then never finishes. Such a job is imported without
them once the number of its events has not changed for STILL_S seconds; events that arrive within a day are added.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.fleetops.agents.plugins.module_utils._client.redact import Redactor
from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import iso_time, known_count, parse_time
from console.collect.jobs.awx_client import AwxClient, AwxError, AwxJobError, AwxServerError
from console.collect.jobs.import_job import ImportReport, JobImport, StoredByAnother
from console.collect.jobs.job import Job, awx_approvals, awx_approvers, awx_job, awx_key, awx_workflow
from console.collect.progress import Progress, silent
from console.record.rows import Cursor
from console.record.write import jobs
from console.record.write.store import Store

SOURCE = "awx"
# A job may appear in the list shortly after one that ended later.
_OVERLAP_S = 600.0
# How many seconds a one-time sync waits for AWX to process events.
WAIT_S = 30.0
_WAIT_STEP_S = 2.0
# Seconds without a new event after which an unfinished job is imported, and seconds after which it counts as complete.
STILL_S = 300.0
_TAKE_ANYWAY_S = 86400.0
# Events stored in one transaction.
BATCH = 2000
_FINAL = "successful,failed,error,canceled"


@dataclass(frozen=True)
class JobFilter:
    """Which jobs are imported: those of a project, template and label (by name) that ended within ``days`` days."""

    project: str | None = None
    template: str | None = None
    label: str | None = None
    days: int | None = None

    def query(self) -> dict[str, str]:
        """The filters as query parameters of AWX."""
        given = {"project__name": self.project, "job_template__name": self.template, "labels__name": self.label}
        return {name: value for name, value in given.items() if value}


def sync_awx(
    store: Store,
    client: AwxClient,
    *,
    now: Callable[[], float],
    wanted: JobFilter | None = None,
    redactor: Redactor | None = None,
    progress: Progress = silent,
    sleep: Callable[[float], None] = time.sleep,
    wait: float = WAIT_S,
) -> ImportReport:
    """Import the ended jobs that are not stored yet. Errors are in the report; the next sync tries those jobs again.

    ``wait``: how many seconds in total to wait for AWX to process the events of new jobs.

    Raises DatabaseProblem when the database cannot be used.
    """
    report, wanted = ImportReport(f"AWX {client.origin}"), wanted or JobFilter()
    scope = "|".join([client.origin, *(f"{name}={value}" for name, value in sorted(wanted.query().items()))])
    cursor = store.cursor(SOURCE, scope) or Cursor(SOURCE, scope)
    try:
        _Pull(store, client, now, redactor or Redactor(), sleep, wait, report).run(wanted, cursor, progress)
    except AwxError as error:
        report.problems.append(str(error))
        report.away = str(error)
    cursor.note(now(), report.problems)
    store.put_cursor(cursor)
    return report


@dataclass
class _Pull:
    """One import. ``patience``: how many seconds of waiting are left.

    ``unfinished``: the jobs that AWX had not finished at the previous sync, by id: when this was first seen (epoch s),
    the number of events, and since when it has not changed. ``still_unfinished``: the same for this sync.
    """

    store: Store
    client: AwxClient
    now: Callable[[], float]
    redactor: Redactor
    sleep: Callable[[float], None]
    patience: float
    report: ImportReport
    unfinished: dict[str, dict[str, Any]] = field(default_factory=dict)
    still_unfinished: dict[str, dict[str, Any]] = field(default_factory=dict)

    def run(self, wanted: JobFilter, cursor: Cursor, progress: Progress) -> None:
        """Import each job; ``cursor.last_ts`` becomes the end time of the newest job before which no job is missing.

        ``cursor.state["from"]``: jobs that ended earlier are left out (epoch seconds); None for none.
        """
        listed = self._listed(wanted, cursor)
        self.unfinished = dict(cursor.state.get("unfinished") or {})
        known = jobs.complete(self.store, self.client.origin)
        all_complete, server_failed = True, False
        for done, record in enumerate(listed):
            progress(done, len(listed), "jobs of AWX")
            if awx_key(self.client.origin, record.get("id")) in known:
                self.report.known += 1
            else:
                try:
                    all_complete = self._take(record) and all_complete
                    server_failed = False
                except AwxServerError as error:
                    # A job that AWX cannot show must not hide the others. After two in a row, AWX itself is down.
                    if server_failed:
                        raise
                    all_complete, server_failed = False, True
                    self.report.problems.append(str(error))
            ended = parse_time(record.get("finished"))
            if all_complete and ended is not None:
                # A job that ended while the clock of AWX was ahead must not hide later ones.
                cursor.last_ts, cursor.last_id = min(ended, self.now()), str(record.get("id"))
        cursor.state.pop("unfinished", None)
        if self.still_unfinished:
            cursor.state["unfinished"] = self.still_unfinished
        progress(len(listed), len(listed), "jobs of AWX")

    def _listed(self, wanted: JobFilter, cursor: Cursor) -> list[dict[str, Any]]:
        query: dict[str, Any] = {"status__in": _FINAL, "order_by": "finished", **wanted.query()}
        since = self.now() - wanted.days * 86400.0 if wanted.days is not None else None
        earliest = cursor.state.get("from")
        if earliest is not None and (since is None or since < earliest):
            # Earlier imports left out jobs that are wanted now.
            cursor.last_ts = None
        if cursor.last_ts is None:
            cursor.state["from"] = since
        else:
            since = max(since or 0.0, cursor.last_ts - _OVERLAP_S)
        if since is not None:
            query["finished__gte"] = iso_time(since)
        pages = self.client.pages("/jobs/", **query)
        # The whole records of 100,000 jobs would take about a gigabyte.
        return [{name: record.get(name) for name in ("id", "finished")} for _count, page in pages for record in page]

    def _take(self, record: Mapping[str, Any]) -> bool:
        """Import one job; returns whether it is complete. Raises AwxError if other jobs would fail in the same way."""
        name = f"Job {record.get('id')} of AWX"
        try:
            detail, is_final = self._detail(record)
            if is_final or self._has_stopped(record, name):
                page, approved_by = self.client.job_page(record.get("id")), self._approved_by(detail, name)
                job = awx_job(self.client.origin, detail, page, approved_by)
                self._import(job, name, complete=is_final)
                return is_final
            self.report.waiting += 1
            self.report.notes.append(
                f"{name} has ended, but AWX is still processing its events; the next sync imports them."
            )
        except StoredByAnother:
            self.report.notes.append(f"{name} is being imported by another sync, so this one skipped it.")
        except AwxJobError as error:
            self.report.problems.append(str(error))
        return False

    def _approved_by(self, detail: Mapping[str, Any], name: str) -> list[str]:
        """The users who approved a job's workflow before the job. If the token may not read this, a note is added."""
        workflow = awx_workflow(detail)
        if workflow is None:
            return []
        try:
            pages = self.client.pages(f"/workflow_jobs/{workflow}/workflow_nodes/")
            found = awx_approvals(node for _count, page in pages for node in page)
            approvals = [self.client.get(f"/workflow_approvals/{number}/") for number in found]
        except AwxJobError as error:
            self.report.notes.append(f"{name}: it is not known who approved its workflow. {error}")
            return []
        return awx_approvers(approvals, detail.get("created"))

    def _detail(self, record: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
        """The detail record of a job, and whether all its events are available. Waits for them if the job is new."""
        ended = parse_time(record.get("finished"))
        too_old = ended is not None and self.now() - ended > _TAKE_ANYWAY_S
        while True:
            detail = self.client.get(f"/jobs/{record.get('id')}/")
            if detail.get("id") is None:
                raise AwxJobError(f"Job {record.get('id')} of AWX: its detail has no id; the next sync tries it again.")
            if detail.get("event_processing_finished") is not False or too_old:
                return detail, True
            if self.patience <= 0 or str(record.get("id")) in self.unfinished:
                return detail, False
            self.patience -= _WAIT_STEP_S
            self.sleep(_WAIT_STEP_S)

    def _has_stopped(self, record: Mapping[str, Any], name: str) -> bool:
        """Whether a job that AWX has not finished processing has had no new event for STILL_S seconds.

        This is known from the number of events at earlier syncs, or from when AWX stored the newest event.
        """
        key, now = str(record.get("id")), self.now()
        before = self.unfinished.get(key)
        self.still_unfinished[key] = known = before or {"first": now, "count": None, "since": now}
        if before is None:
            return False
        query = {"page_size": 1, "order_by": "-counter"}
        count, page = next(self.client.pages(f"/jobs/{key}/job_events/", **query))
        if known["count"] != count:
            known |= {"count": count, "since": now}
        stored = parse_time(page[0].get("modified")) if page else None
        since = min(known["since"], max(known["first"], stored if stored is not None else now))
        if now - since < STILL_S:
            return False
        if not self.store.cursor(SOURCE, awx_key(self.client.origin, key)):
            self.report.notes.append(
                f"{name} has ended, but AWX stopped processing its events before the last one; the {count:,} events"
                " that it has are shown, and those that arrive within a day are added."
            )
        return True

    def _import(self, job: Job, name: str, *, complete: bool) -> None:
        load = JobImport(self.store, job, name, self.redactor)
        if load.cursor is None:
            # The job is stored first: if the callback has recorded its run, no events have to be fetched.
            load.put([], position=0, complete=False)
        pulled: list[dict[str, Any]] = []
        at, more = load.position, not load.joined
        while more:
            try:
                page, at = self._events(job, name, at)
            except AwxError:
                if pulled:
                    load.put(pulled, position=at, complete=False)
                raise
            pulled += page
            if pulled and (len(pulled) >= BATCH or not page):
                load.put(pulled, position=at, complete=False)
                pulled = []
            more = bool(page) and not load.joined
        load.put([], position=load.position, complete=complete)
        load.add_to(self.report)

    def _events(self, job: Job, name: str, after: int) -> tuple[list[dict[str, Any]], int]:
        """The next page of a job's events, and the counter that it reaches; empty at the end."""
        path = f"/jobs/{job.row['job_id']}/job_events/"
        _count, page = next(self.client.pages(path, order_by="counter", counter__gt=after))
        counters = (known_count(record.get("counter")) for record in page)
        reached = max((counter for counter in counters if counter is not None), default=after)
        if page and reached <= after:
            raise AwxJobError(f"{name}: AWX repeated events of {path}; the next sync tries this job again.")
        return page, reached
