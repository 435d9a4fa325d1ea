# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads the rollouts that may have changed, with their targets.

The newest rollouts are listed (E3). Those that are new, were open, or differ from what is stored are read in detail
(E4, then E1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

from ansible_collections.fleetops.agents.plugins.module_utils._client.client import ROLLOUTS_PAGE, FleetClient
from ansible_collections.fleetops.agents.plugins.module_utils._client.errors import ApiError
from ansible_collections.fleetops.agents.plugins.module_utils._client.pool import NotCalled
from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import Record, amount, records_in
from console.collect.api.records import has_all_counters, rollout_row, same_state, target_rows
from console.collect.api.session import Session
from console.record.rows import Cursor, RolloutRead, Row, as_text
from console.record.write import rollouts

# Targets kept in memory before they are stored in one transaction.
_TARGETS_AT_ONCE = 2000
_ROLLOUTS_AT_ONCE = 100
# For how many seconds after its end a rollout is read again if not all of its targets are listed as ended.
_AGREES_WITHIN = 3600.0
# A list that is not read completely ends after this many known, ended rollouts in a row: those below have ended too.
_SETTLED_IN_A_ROW = 20


def sync_rollouts(session: Session) -> None:
    """Store the rollouts that are new or may have changed."""
    session.progress(0, None, "list of rollouts")
    known, most, until = _Known(session), session.options.rollouts, None
    if not session.reading.whole_list:
        most, until = min(most, ROLLOUTS_PAGE), known.ends_the_list
    try:
        listed = session.client.all_fleet_rollouts(most=most, until=until)
    except ApiError as error:
        session.failed(error, "The rollouts were not read", ends=True)
        return
    session.previous.has_more = until is not None and len(listed) >= ROLLOUTS_PAGE
    records = {r["id"]: r for r in map(known.as_stored, listed) if as_text(r.get("id"))}
    rows = {i: rollout_row(session.tenant, r) for i, r in records.items()}
    if len(rows) < len(listed):
        session.report.notes.append(f"{len(listed) - len(rows)} listed rollout(s) have no id and were left out.")
    due = [i for i, row in rows.items() if known.is_due(i, row, records[i])]
    # Open rollouts that are no longer in the list.
    due += [i for i in known.unfinished if i not in rows and not known.is_waiting(i)]
    # Rollouts with several targets first, then the oldest.
    facts = {i: rows.get(i) or known.unfinished[i] for i in due}
    due.sort(key=lambda i: (facts[i]["total"] < 2, facts[i]["created_at"] or 0.0))
    first = len(due) if session.reading.rollouts is None else session.reading.rollouts
    now, later = due[:first], due[first:]
    reads = [RolloutRead(rows[i], None, session.now()) for i in later if i in rows and not known.has_targets(i)]
    answers = session.pool.as_completed(partial(_read_rollout, session, rollout_id) for rollout_id in now)
    for done, (position, answer) in enumerate(answers, 1):
        rollout_id = now[position]
        read = _rollout_result(session, rollout_id, answer, rows.get(rollout_id), known.row(rollout_id))
        session.previous.tried_at[rollout_id] = session.now()
        if read is not None:
            session.previous.note_read(read)
            reads.append(read)
        session.progress(done, len(now), "rollouts")
        if len(reads) >= _ROLLOUTS_AT_ONCE or sum(len(r.targets or ()) for r in reads) >= _TARGETS_AT_ONCE:
            session.store.put_rollouts(reads)
            reads = []
    session.store.put_rollouts(reads)


class _Known:
    """The stored rollouts, and which of the listed ones are to be read. ``unfinished``: those stored as open or without
    their targets, by id."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.unfinished = {row["rollout_id"]: row for row in rollouts.unfinished(session.store, session.tenant)}
        self._rows: dict[str, Row | None] = dict(self.unfinished)
        self._settled = 0

    def as_stored(self, record: Record) -> Record:
        """A listed rollout with its id in the spelling in which it is stored."""
        if not as_text(record.get("id")):
            return record
        return {**record, "id": rollouts.spelled(self._session.store, self._session.tenant, str(record["id"]))}

    def row(self, rollout_id: str) -> Row | None:
        """The stored row of a rollout, None if there is none."""
        if rollout_id not in self._rows:
            self._rows[rollout_id] = rollouts.stored(self._session.store, self._session.tenant, rollout_id)
        return self._rows[rollout_id]

    def has_targets(self, rollout_id: str) -> bool:
        """Whether the targets of a rollout are stored. If so, they and its counters are updated together."""
        stored = self.row(rollout_id)
        return stored is not None and bool(stored["targets_read"])

    def is_waiting(self, rollout_id: str) -> bool:
        """Whether a rollout was read or tried so recently that it is not read again unless it has changed."""
        tried_at = self._session.previous.tried_at.get(rollout_id, -math.inf)
        return self._session.now() - tried_at < self._session.reading.unmoved_after

    def is_due(self, rollout_id: str, row: Row, record: Record) -> bool:
        """Whether the targets of a listed rollout are to be read: it is new, has changed, or may have changed."""
        stored = self.row(rollout_id)
        if stored is None or not same_state(row, stored, record):
            return True
        if rollout_id not in self.unfinished:
            return False
        if stored["targets_read"] and not has_all_counters(record):
            return True
        return not self.is_waiting(rollout_id)

    def ends_the_list(self, record: Record) -> bool:
        """Whether this listed rollout and those before it show that the ones below have ended and are stored."""
        record = self.as_stored(record)
        row = rollout_row(self._session.tenant, record) if as_text(record.get("id")) else None
        is_settled = (
            row is not None
            and row["rollout_id"] not in self.unfinished
            and (stored := self.row(row["rollout_id"])) is not None
            and same_state(row, stored, record)
        )
        self._settled = self._settled + 1 if is_settled else 0
        return self._settled >= _SETTLED_IN_A_ROW


def _read_rollout(session: Session, rollout_id: str, client: FleetClient) -> RolloutRead:
    read_at = session.now()
    detail = client.get_rollout(rollout_id)
    timeline = client.get_rollout_timeline(rollout_id)
    targets: Sequence[Record] = detail["targets"]
    row = rollout_row(session.tenant, {**detail["rollout"], "id": rollout_id}, targets)
    row["total_duration_s"] = amount(timeline.get("total_duration_seconds"))
    entries = records_in(timeline.get("timeline"))
    rows = target_rows(session.tenant, rollout_id, targets, entries)
    has_just_ended = not row["is_open"] and read_at - (row["completed_at"] or 0.0) < _AGREES_WITHIN
    return RolloutRead(row, rows, read_at, again=has_just_ended and _ended(rows) < row["total"])


def _ended(targets: Sequence[Row]) -> int:
    return sum(not target["is_open"] for target in targets)


def _rollout_result(
    session: Session,
    rollout_id: str,
    answer: RolloutRead | ApiError | NotCalled,
    listed: Row | None,
    stored: Row | None,
) -> RolloutRead | None:
    """Record the result of reading one rollout in the report and the cursors. Returns what to store of it, or None.

    ``answer``: NotCalled if it was not tried. ``listed``: the rollout as in the list. ``stored``: as in the database.
    """
    scope, report = f"{session.tenant}|{rollout_id}", session.report
    if isinstance(answer, RolloutRead):
        if stored is not None and not stored["targets_read"]:
            session.store.drop_cursor("rollout", scope)
        if answer.again:
            ended = f"{_ended(answer.targets or ())} of the {answer.rollout['total']} targets"
            report.notes.append(
                f"Rollout {rollout_id} has ended, but the server lists {ended} as ended. It will be read again."
            )
        report.rollouts += 1
        report.targets += len(answer.targets or ())
        return answer
    if isinstance(answer, ApiError):
        if answer.kind == "not_found" and listed is None and stored is not None:
            report.notes.append(f"Rollout {rollout_id} is no longer in the API; its last known state is kept.")
            facts = {k: v for k, v in stored.items() if k not in ("first_seen", "updated_at", "targets_read")}
            return RolloutRead({**facts, "is_open": 0}, [], session.now())
        session.failed(answer, f"Rollout {rollout_id} was not read")
        session.store.put_cursor(Cursor("rollout", scope, last_error=str(answer)))
    # The data from the list is stored; without its targets the rollout stays due.
    return RolloutRead(listed, None, session.now()) if listed else None
