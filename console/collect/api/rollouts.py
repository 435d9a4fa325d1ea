# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The API -> store: policy, rollouts with their targets, instances and audit. Reads only, and only what may be new.

Rollouts: the newest are listed (E3); those that are new, were open, or stand elsewhere than stored are read whole (E4,
then E1). Audit: for each instance the newest events until a known one (E20) and the summary (E21), two calls an
instance as a rule. What else there is of each instance is read by instances.py, if it is asked for. Up to 8 calls at
once. What fails is named and does not stop the rest, unless it would fail for all (key, certificate, address).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import Event

from ansible_collections.fleetops.agents.plugins.module_utils._client.client import FleetClient
from ansible_collections.fleetops.agents.plugins.module_utils._client.errors import ApiError
from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import Record, amount
from console.collect.api.audit import AuditRead, read_events
from console.collect.api.instances import InstanceSync
from console.collect.api.records import (
    audit_row,
    policy_row,
    rollout_row,
    same_state,
    summary_row,
    target_rows,
    text,
)
from console.collect.progress import Progress, silent
from console.record.rows import Cursor, RolloutRead, Row
from console.record.write.store import Store

WORKERS = 8
# Kinds of errors that every further call would meet as well.
_FOR_ALL = frozenset({"auth", "tls", "unreachable", "redirected"})
# Targets kept in memory before they are stored in one transaction.
_TARGETS_AT_ONCE = 2000
_ROLLOUTS_AT_ONCE = 100
_INSTANCES_AT_ONCE = 64
_KNOWN_IDS = 1000


@dataclass(frozen=True)
class ApiOptions:
    """``rollouts``: how many of the newest are looked at. ``audit_events``: how far back each instance's
    audit is read, in events; what lies nearer and is known is not read again.
    ``details``: what else is read of each instance, words of ``instances.KINDS``, one call each.
    ``instances``: ids or host names whose audit and details are read, all known ones if empty."""

    rollouts: int = 1000
    audit: bool = True
    audit_events: int = 500
    details: tuple[str, ...] = ()
    instances: tuple[str, ...] = ()


@dataclass
class ApiReport:
    """What one sync with the API did. ``problems``: sentences about what could not be read."""

    rollouts: int = 0
    targets: int = 0
    instances: int = 0
    audit_events: int = 0
    details: int = 0
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def sync_api(
    store: Store,
    client: FleetClient,
    tenant: str,
    *,
    now: Callable[[], float],
    options: ApiOptions | None = None,
    progress: Progress = silent,
) -> ApiReport:
    """Bring the store up to date with one tenant. ``client`` should be read-only; it is cloned for each thread."""
    sync = _ApiSync(store, client, tenant, now, options or ApiOptions(), progress)
    try:
        sync.run()
    finally:
        sync.close()
    return sync.report


class _ApiSync:
    def __init__(
        self,
        store: Store,
        client: FleetClient,
        tenant: str,
        now: Callable[[], float],
        options: ApiOptions,
        progress: Progress,
    ) -> None:
        self.report = ApiReport()
        self._store, self._tenant, self._now = store, tenant, now
        self._options, self._progress = options, progress
        self._given = client
        self._clients: SimpleQueue[FleetClient] = SimpleQueue()
        self._all_clients = [client.clone() for _dummy in range(WORKERS)]
        for each in self._all_clients:
            self._clients.put(each)
        self._stop = Event()

    def close(self) -> None:
        for each in self._all_clients:
            each.close()

    def run(self) -> None:
        self._store.put_tenant(self._tenant, self._now())
        cursor = self._store.cursor("api", self._tenant) or Cursor("api", self._tenant)
        self._policy()
        if not self._stop.is_set():
            self._rollouts(cursor.last_ok_at)
        cursor.note(self._now(), self.report.problems)
        self._store.put_cursor(cursor)
        if (self._options.audit or self._options.details) and not self._stop.is_set():
            chosen = self._chosen_instances()
            if self._options.details:
                self._details(chosen)
            if self._options.audit and not self._stop.is_set():
                self._audit(chosen)

    @contextmanager
    def _client(self) -> Iterator[FleetClient]:
        client = self._clients.get()
        try:
            yield client
        finally:
            self._clients.put(client)

    @contextmanager
    def _pool(self) -> Iterator[ThreadPoolExecutor]:
        with ThreadPoolExecutor(WORKERS) as pool:
            try:
                yield pool
            except BaseException:
                # Interrupted, or the database failed: calls that have not begun are not made.
                self._stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _failed(self, error: ApiError, what: str) -> None:
        self.report.problems.append(f"{what}: {error}")
        if error.kind in _FOR_ALL:
            self._stop.set()

    def _policy(self) -> None:
        try:
            with self._client() as client:
                record = client.get_fleet_update_policy()
        except ApiError as error:
            self._failed(error, "The update policy was not read")
            return
        self._store.put_policy(policy_row(self._tenant, record, self._now()))

    # Rollouts

    def _rollouts(self, not_before: float | None) -> None:
        self._progress(0, None, "list of rollouts")
        try:
            with self._client() as client:
                listed = client.all_fleet_rollouts(most=self._options.rollouts)
        except ApiError as error:
            self._failed(error, "The rollouts were not read")
            return
        known = self._store.rollouts.known(self._tenant)
        records = {str(r["id"]): r for r in listed if text(r.get("id"))}
        rows = {i: rollout_row(self._tenant, r) for i, r in records.items()}
        if len(rows) < len(listed):
            self.report.notes.append(f"{len(listed) - len(rows)} listed rollout(s) have no id and were left out.")
        due = [
            i
            for i, row in rows.items()
            if i not in known or _is_due(known[i]) or not same_state(row, known[i], records[i])
        ]
        # Open ones that have dropped out of what was listed.
        due += [i for i, stored in known.items() if i not in rows and _is_due(stored)]
        reads: list[RolloutRead] = []
        done = 0
        with self._pool() as pool:
            futures = {pool.submit(self._read_rollout, rollout_id): rollout_id for rollout_id in due}
            for future in as_completed(futures):
                rollout_id = futures[future]
                reads += self._rollout_result(rollout_id, future.result(), rows.get(rollout_id), known.get(rollout_id))
                done += 1
                self._progress(done, len(due), "rollouts")
                if len(reads) >= _ROLLOUTS_AT_ONCE or sum(len(r.targets or ()) for r in reads) >= _TARGETS_AT_ONCE:
                    self._store.put_rollouts(reads, not_before=not_before)
                    reads = []
        self._store.put_rollouts(reads, not_before=not_before)

    def _read_rollout(self, rollout_id: str) -> RolloutRead | ApiError | None:
        if self._stop.is_set():
            return None
        read_at = self._now()
        try:
            with self._client() as client:
                detail = client.get_rollout(rollout_id)
                timeline = client.get_rollout_timeline(rollout_id)
        except ApiError as error:
            if error.kind in _FOR_ALL:
                self._stop.set()
            return error
        entries = timeline.get("timeline")
        entries = [e for e in entries if isinstance(e, dict)] if isinstance(entries, list) else []
        targets: Sequence[Record] = detail["targets"]
        row = rollout_row(self._tenant, {**detail["rollout"], "id": rollout_id}, targets)
        row["total_duration_s"] = amount(timeline.get("total_duration_seconds"))
        return RolloutRead(row, target_rows(self._tenant, rollout_id, targets, entries), read_at)

    def _rollout_result(
        self, rollout_id: str, result: RolloutRead | ApiError | None, listed: Row | None, stored: Row | None
    ) -> list[RolloutRead]:
        scope = f"{self._tenant}|{rollout_id}"
        if isinstance(result, RolloutRead):
            if stored is not None and not stored["targets_read"]:
                self._store.drop_cursor("rollout", scope)
            self.report.rollouts += 1
            self.report.targets += len(result.targets or ())
            return [result]
        if result is None:
            # Not tried, since all calls fail; what the list said is kept, and the targets stay due.
            return [RolloutRead(listed, None, self._now())] if listed else []
        if result.kind == "not_found" and listed is None and stored is not None:
            self.report.notes.append(f"Rollout {rollout_id} is gone from the API; its last known state is kept.")
            facts = {k: v for k, v in stored.items() if k not in ("first_seen", "updated_at", "targets_read")}
            return [RolloutRead({**facts, "is_open": 0}, [], self._now())]
        self._failed(result, f"Rollout {rollout_id} was not read")
        self._store.put_cursor(Cursor("rollout", scope, last_error=str(result)))
        return [RolloutRead(listed, None, self._now())] if listed else []

    # Audit

    def _audit(self, chosen: list[Row]) -> None:
        names = {row["instance_id"]: row["hostname"] or row["instance_id"] for row in chosen}
        cursors = self._store.cursors("audit")
        ids = list(names)
        done = 0
        for start in range(0, len(ids), _INSTANCES_AT_ONCE):
            with self._pool() as pool:
                futures = {}
                for instance_id in ids[start : start + _INSTANCES_AT_ONCE]:
                    scope = f"{self._tenant}|{instance_id}"
                    cursor = cursors.get(scope) or Cursor("audit", scope)
                    known = self._store.audit.known_ids(
                        self._tenant, instance_id, newest=_KNOWN_IDS, not_after=cursor.gap_from
                    )
                    job = pool.submit(self._read_audit, instance_id, known, self._is_deeper(cursor))
                    futures[job] = (instance_id, cursor, bool(known))
                for future in as_completed(futures):
                    instance_id, cursor, had_events = futures[future]
                    self._audit_result(instance_id, names[instance_id], cursor, had_events, future.result())
                    done += 1
                    self._progress(done, len(ids), "audit of instances")

    def _details(self, chosen: list[Row]) -> None:
        sync = InstanceSync(self._store, self._given, self._tenant, self._now)
        sync.run(chosen, self._options.details, self._progress)
        self.report.details = sync.read
        self.report.notes += sync.notes
        self.report.problems += sync.problems
        if sync.hopeless:
            self._stop.set()

    def _chosen_instances(self) -> list[Row]:
        known = self._store.instances.known(self._tenant)
        if not self._options.instances:
            return known
        chosen: list[Row] = []
        for wanted in dict.fromkeys(self._options.instances):
            found = [row for row in known if wanted in (row["instance_id"], row["hostname"])]
            if not found:
                self.report.problems.append(f"Instance {wanted} is not known: no rollout that was read names it.")
            chosen += found
        return chosen

    def _is_deeper(self, cursor: Cursor) -> bool:
        """Whether this sync is to look further back than any before it."""
        # "all" was noted by a console that took a short page for the end of the list: looked at once more.
        depth = cursor.state.get("depth", 0)
        return not cursor.state.get("whole") and self._options.audit_events > (0 if depth == "all" else depth)

    def _read_audit(self, instance_id: str, known: set[str], deeper: bool) -> AuditRead | ApiError | None:
        if self._stop.is_set():
            return None
        read_at = self._now()
        ends = set() if deeper else known
        try:
            with self._client() as client:
                listed = read_events(client, instance_id, self._options.audit_events, ends)
                summary = client.get_audit_summary(instance_id)
        except ApiError as error:
            if error.kind in _FOR_ALL:
                self._stop.set()
            return error
        met = any(str(e.get("id")) in known for e in listed.rows)
        return AuditRead(listed.rows, summary, met=met, whole=listed.whole, deeper=deeper, read_at=read_at)

    def _audit_result(
        self, instance_id: str, name: str, cursor: Cursor, had_events: bool, result: AuditRead | ApiError | None
    ) -> None:
        if result is None:
            return
        if isinstance(result, ApiError):
            cursor.last_error = str(result)
            self._store.put_cursor(cursor)
            if result.kind == "not_found":
                self.report.notes.append(f"Instance {name} ({instance_id}) is gone from the API; its audit is kept.")
            else:
                self._failed(result, f"The audit of instance {name} ({instance_id}) was not read")
            return
        rows = [audit_row(self._tenant, instance_id, e) for e in result.events if text(e.get("id"))]
        times = [row["event_ts"] for row in rows if row["event_ts"] is not None]
        if result.met or result.whole or not had_events:
            cursor.gap_from = cursor.gap_to = None
        elif times:
            cursor.gap_from = cursor.gap_from if cursor.gap_from is not None else cursor.last_ts
            cursor.gap_to = min(times)
            self.report.notes.append(
                f"Instance {name} has audit events between two syncs that were not read;"
                " raise --audit-events to read them."
            )
        if result.whole:
            cursor.state["whole"] = True
        elif result.deeper:
            cursor.state["depth"] = self._options.audit_events
        newest = max(rows, key=lambda row: row["event_ts"] or 0.0, default=None)
        if newest is not None and (cursor.last_ts is None or (newest["event_ts"] or 0.0) > cursor.last_ts):
            cursor.last_id, cursor.last_ts = newest["id"], newest["event_ts"]
        cursor.last_error, cursor.last_ok_at = None, self._now()
        summary = summary_row(self._tenant, instance_id, result.summary, result.read_at)
        self.report.audit_events += self._store.put_audit(rows, summary, cursor)
        self.report.instances += 1


def _is_due(stored: Row) -> bool:
    return bool(stored["is_open"]) or not stored["targets_read"]
