# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The API -> store: of each instance the newest audit events (E20) until a known one, and their summary (E21).

Two calls an instance as a rule.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial

from ansible_collections.fleetops.agents.plugins.module_utils._client.client import (
    AUDIT_PAGE,
    AUDIT_TIMES,
    FleetClient,
)
from ansible_collections.fleetops.agents.plugins.module_utils._client.errors import ApiError
from ansible_collections.fleetops.agents.plugins.module_utils._client.paging import (
    NEWEST_FIRST,
    Listing,
    order_of,
    read_list,
)
from ansible_collections.fleetops.agents.plugins.module_utils._client.pool import NotCalled
from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import Record
from console.collect.api.records import audit_row, summary_row, text
from console.collect.api.session import Session
from console.record.rows import Cursor, Row

# Instances whose events are read at once, and so kept in memory.
_INSTANCES_AT_ONCE = 64
_KNOWN_IDS = 1000
# Of an instance whose events are known, so many of the newest are asked for first.
_NEWS = 100
# Late events are put below known ones: a deeper walk goes on over so many known events before it stops.
_OVERLAP = 50


@dataclass(frozen=True)
class AuditRead:
    """The newest audit events of one instance. ``met``: a known one is among them; ``whole``: there are no others;
    ``deeper``: read as far back as was asked for, past known ones."""

    events: list[Record]
    summary: Record
    met: bool
    whole: bool
    deeper: bool
    read_at: float


def sync_audit(session: Session, instances: list[Row]) -> None:
    """Read and store the audit of the instances: rows with instance_id and hostname."""
    cursors = session.store.cursors("audit")
    done = 0
    for start in range(0, len(instances), _INSTANCES_AT_ONCE):
        asked = []
        for instance in instances[start : start + _INSTANCES_AT_ONCE]:
            scope = f"{session.tenant}|{instance['instance_id']}"
            cursor = cursors.get(scope) or Cursor("audit", scope)
            known = session.store.audit.known_ids(
                session.tenant, instance["instance_id"], newest=_KNOWN_IDS, not_after=cursor.gap_from
            )
            asked.append((instance, cursor, known))
        calls = [
            partial(_read, session, instance["instance_id"], known, _is_deeper(session, cursor))
            for instance, cursor, known in asked
        ]
        for position, answer in session.pool.as_completed(calls):
            instance, cursor, known = asked[position]
            _store(session, instance, cursor, bool(known), answer)
            done += 1
            session.progress(done, len(instances), "audit of instances")


def _is_deeper(session: Session, cursor: Cursor) -> bool:
    """Whether this sync reads further back than any before it."""
    # "all" was noted by a console that took a short page for the end of the list: read once more.
    depth = cursor.state.get("depth", 0)
    return not cursor.state.get("whole") and session.options.audit_events > (0 if depth == "all" else depth)


def _read(session: Session, instance_id: str, known: set[str], deeper: bool, client: FleetClient) -> AuditRead:
    read_at = session.now()
    listed = read_events(client, instance_id, session.options.audit_events, set() if deeper else known)
    summary = client.get_audit_summary(instance_id)
    met = any(str(e.get("id")) in known for e in listed.rows)
    return AuditRead(listed.rows, summary, met=met, whole=listed.whole, deeper=deeper, read_at=read_at)


def _store(
    session: Session, instance: Row, cursor: Cursor, had_events: bool, answer: AuditRead | ApiError | NotCalled
) -> None:
    instance_id, name = instance["instance_id"], instance["hostname"] or instance["instance_id"]
    store, report = session.store, session.report
    if isinstance(answer, NotCalled):
        return
    if isinstance(answer, ApiError):
        cursor.last_error = str(answer)
        store.put_cursor(cursor)
        if answer.kind == "not_found":
            report.notes.append(f"Instance {name} ({instance_id}) is gone from the API; its audit is kept.")
        else:
            session.failed(answer, f"The audit of instance {name} ({instance_id}) was not read")
        return
    rows = [audit_row(session.tenant, instance_id, e) for e in answer.events if text(e.get("id"))]
    times = [row["event_ts"] for row in rows if row["event_ts"] is not None]
    if answer.met or answer.whole or not had_events:
        cursor.gap_from = cursor.gap_to = None
    elif times:
        cursor.gap_from = cursor.gap_from if cursor.gap_from is not None else cursor.last_ts
        cursor.gap_to = min(times)
        report.notes.append(
            f"Instance {name} has audit events between two syncs that were not read; raise --audit-events to read them."
        )
    if answer.whole:
        cursor.state["whole"] = True
    elif answer.deeper:
        cursor.state["depth"] = session.options.audit_events
    newest = max(rows, key=lambda row: row["event_ts"] or 0.0, default=None)
    if newest is not None and (cursor.last_ts is None or (newest["event_ts"] or 0.0) > cursor.last_ts):
        cursor.last_id, cursor.last_ts = newest["id"], newest["event_ts"]
    cursor.last_error, cursor.last_ok_at = None, session.now()
    summary = summary_row(session.tenant, instance_id, answer.summary, answer.read_at)
    report.audit_events += store.put_audit(rows, summary, cursor)
    report.instances += 1


def read_events(client: FleetClient, instance_id: str, most: int, known: Collection[str]) -> Listing:
    """Up to ``most`` of the newest events, ending some way below the newest ``known`` ones (their ids).

    One call where the server lists the newest first and a known one is among them. A server that lists the oldest
    first, or in an order that no time shows, has its list read to the end. Raises ApiError.
    """

    def fetch(limit: int, offset: int) -> list[Record]:
        return client.list_audit_events(instance_id, limit=limit, offset=offset)

    ahead = [fetch(min(most, _NEWS if known else AUDIT_PAGE), 0)]
    if order_of(ahead[0], AUDIT_TIMES) == NEWEST_FIRST and any(str(row.get("id")) in known for row in ahead[0]):
        return Listing(ahead[0], whole=False)
    seen: set[str] = set()

    def enough(row: Record) -> bool:
        if str(row.get("id")) in known:
            seen.add(str(row.get("id")))
        return len(seen) > _OVERLAP

    return read_list(
        lambda limit, offset: ahead.pop() if ahead else fetch(limit, offset),
        page=AUDIT_PAGE,
        most=most,
        until=enough,
        times=AUDIT_TIMES,
    )
