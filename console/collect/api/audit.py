# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads the audit of each instance from the API: the summary (E21), and the newest events (E20) down to a known one.

An instance costs one call if its summary has not changed, and usually two otherwise. Once a day (UTC), the events are
read even if the summary has not changed: the counts stay the same if as many events were added as were removed.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial

from ansible_collections.fleetops.agents.plugins.module_utils._client.client import AUDIT_PAGE, AUDIT_TIMES, FleetClient
from ansible_collections.fleetops.agents.plugins.module_utils._client.errors import ApiError
from ansible_collections.fleetops.agents.plugins.module_utils._client.paging import (
    NEWEST_FIRST,
    Listing,
    order_of,
    read_list,
)
from ansible_collections.fleetops.agents.plugins.module_utils._client.pool import NotCalled
from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import Record, known_count
from ansible_collections.fleetops.agents.plugins.module_utils._rules.ids import id_key
from console.collect.api.records import audit_row, summary_row
from console.collect.api.session import Session
from console.record.rows import Cursor, Row, as_text
from console.record.write import audit
from console.text.times import moment

# How many instances are read at once; their events are kept in memory.
_INSTANCES_AT_ONCE = 64
_KNOWN_IDS = 1000
# If events of an instance are known, this many of the newest are requested first.
_NEWS = 100
# Late events are listed below known ones, so reading continues past this many known events before it stops.
_OVERLAP = 50


@dataclass(frozen=True)
class _Request:
    """The audit of an instance, requested at ``at``, and what is stored. ``known``: the ids of its newest events."""

    at: float
    instance: Row
    cursor: Cursor
    summary: Row | None
    known: set[str]


def sync_audit(session: Session, instances: list[Row]) -> None:
    """Read and store the audit of the instances: rows with instance_id and hostname."""
    done = 0
    for start in range(0, len(instances), _INSTANCES_AT_ONCE):
        requests = [_request(session, instance) for instance in instances[start : start + _INSTANCES_AT_ONCE]]
        for position, answer in session.pool.as_completed(partial(_read, session, request) for request in requests):
            _store(session, requests[position], answer)
            done += 1
            session.progress(done, len(instances), "audit of instances")


def _request(session: Session, instance: Row) -> _Request:
    store, tenant, instance_id = session.store, session.tenant, instance["instance_id"]
    at, scope = session.now(), f"{tenant}|{instance_id}"
    cursor = store.cursor("audit", scope) or Cursor("audit", scope)
    known = audit.known_ids(store, tenant, instance_id, newest=_KNOWN_IDS, not_after=cursor.gap_from)
    return _Request(at, instance, cursor, audit.newest_summary(store, tenant, instance_id), known)


def _is_deeper(session: Session, cursor: Cursor) -> bool:
    """Whether this sync reads further back than any before it."""
    # Older consoles stored "all" because they took a short page for the end of the list: the list is read again.
    depth = cursor.state.get("depth", 0)
    return not cursor.state.get("whole") and session.options.audit_events > (0 if depth == "all" else depth)


def _read(session: Session, request: _Request, client: FleetClient) -> tuple[Listing | None, Row]:
    """The newest audit events of one instance, None if its summary has not changed; and the summary."""
    instance_id, cursor = request.instance["instance_id"], request.cursor
    read_at, deeper = session.now(), _is_deeper(session, cursor)
    # Before the events: if one is added between the two calls, the next summary differs, and the events are read again.
    record = client.get_audit_summary(instance_id)
    summary = summary_row(session.tenant, instance_id, record, read_at)
    listed_today = cursor.state.get("listed_on") == moment(read_at, "%Y-%m-%d")
    has_total = known_count(record.get("total_events")) is not None
    if has_total and listed_today and not deeper and cursor.gap_from is None and _same_counts(summary, request.summary):
        return None, summary
    known = set() if deeper else request.known
    return read_events(client, instance_id, session.options.audit_events, known), summary


def _same_counts(summary: Row, stored: Row | None) -> bool:
    return stored is not None and all(stored[name] == value for name, value in summary.items() if name != "taken_at")


def _store(session: Session, request: _Request, answer: tuple[Listing | None, Row] | ApiError | NotCalled) -> None:
    instance, cursor = request.instance, request.cursor
    instance_id, name = instance["instance_id"], instance["hostname"] or instance["instance_id"]
    store, report = session.store, session.report
    if isinstance(answer, NotCalled) or session.is_older(request.at, store.cursor("audit", cursor.scope)):
        return
    if isinstance(answer, ApiError):
        is_gone = answer.kind == "not_found"
        cursor.last_error = None if is_gone else str(answer)
        store.put_cursor(cursor)
        if is_gone:
            report.notes.append(f"Instance {name} ({instance_id}) is no longer in the API; its stored audit is kept.")
        else:
            session.failed(answer, f"The audit of instance {name} ({instance_id}) was not read")
        return
    report.instances += 1
    cursor.last_error, cursor.last_ok_at = None, request.at
    listed, summary = answer
    if listed is None:
        store.put_cursor(cursor)
        return
    rows = [audit_row(session.tenant, instance_id, e) for e in listed.rows if as_text(e.get("id"))]
    times = [row["event_ts"] for row in rows if row["event_ts"] is not None]
    if listed.whole or not request.known or any(id_key(row["id"]) in request.known for row in rows):
        cursor.gap_from = cursor.gap_to = None
    elif times:
        cursor.gap_from = cursor.gap_from if cursor.gap_from is not None else cursor.last_ts
        cursor.gap_to = min(times)
        report.notes.append(
            f"Instance {name} has unread audit events between two syncs; increase --audit-events to read them."
        )
    if listed.whole:
        cursor.state["whole"] = True
    elif _is_deeper(session, cursor):
        cursor.state["depth"] = session.options.audit_events
    cursor.state["listed_on"] = moment(summary["taken_at"], "%Y-%m-%d")
    newest = max(rows, key=lambda row: row["event_ts"] or 0.0, default=None)
    if newest is not None and (cursor.last_ts is None or (newest["event_ts"] or 0.0) > cursor.last_ts):
        cursor.last_id, cursor.last_ts = newest["id"], newest["event_ts"]
    report.audit_events += store.put_audit(rows, summary, cursor)


def read_events(client: FleetClient, instance_id: str, most: int, known: Collection[str]) -> Listing:
    """Read up to ``most`` of the newest events, down to some of the ``known`` ones (id_key). Raises ApiError.

    This takes one call if the server lists the newest first and the first page contains a known one. If the server
    lists the oldest first, or the times do not show the order, the complete list is read.
    """

    def fetch(limit: int, offset: int) -> list[Record]:
        return client.list_audit_events(instance_id, limit=limit, offset=offset)

    first = [fetch(min(most, _NEWS if known else AUDIT_PAGE), 0)]
    if order_of(first[0], AUDIT_TIMES) == NEWEST_FIRST and any(id_key(row.get("id")) in known for row in first[0]):
        return Listing(first[0], whole=False)
    seen: set[str] = set()

    def enough(row: Record) -> bool:
        if id_key(row.get("id")) in known:
            seen.add(id_key(row.get("id")))
        return len(seen) > _OVERLAP

    return read_list(
        lambda limit, offset: first.pop() if first else fetch(limit, offset),
        page=AUDIT_PAGE,
        most=most,
        until=enough,
        times=AUDIT_TIMES,
    )
