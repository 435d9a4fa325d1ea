# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads details of each instance from the API: health (E16), updates (E25), actions (E11), number of memories (E17).

Each kind costs one call per instance, so it is only read on request. Health is the record that the server has stored:
a sync does not start a health check. There are up to 8 calls at a time. Errors are reported and do not stop the rest,
unless they would occur in every call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from ansible_collections.fleetops.agents.plugins.module_utils._client.client import ACTIONS_CAP, MEMORY_CAP, FleetClient
from ansible_collections.fleetops.agents.plugins.module_utils._client.errors import ApiError
from ansible_collections.fleetops.agents.plugins.module_utils._client.pool import NotCalled
from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import count
from console.collect.api.records import action_rows, health_rows, memory_rows, update_rows
from console.collect.api.session import Session
from console.record.rows import Cursor, InstanceRows, Row
from console.record.write import instances as stored
from console.text.counts import counted, first_of

_INSTANCES_AT_ONCE = 32

KINDS = ("health", "updates", "actions", "memory")
"""The kinds of details of an instance. They are also the ``source`` of its cursors."""


@dataclass(frozen=True)
class _Read:
    """One call, requested at ``at``. ``name``: the host name of the instance, or its id if it has none."""

    kind: str
    instance_id: str
    name: str
    at: float


def sync_instances(session: Session, instances: Sequence[Row], kinds: Sequence[str]) -> None:
    """Read and store some kinds of details of the instances: rows with instance_id and hostname. All failures of one
    kind are one problem in the report."""
    errors: list[tuple[_Read, ApiError]] = []
    for start in range(0, len(instances), _INSTANCES_AT_ONCE):
        part = instances[start : start + _INSTANCES_AT_ONCE]
        at = session.now()
        reads = [_Read(k, i["instance_id"], i["hostname"] or i["instance_id"], at) for i in part for k in kinds]
        answers = session.pool.in_order(partial(_call, session.tenant, read) for read in reads)
        # An API may not have all kinds for any instance, so an instance is gone only if no call finds it.
        found = {r.instance_id for r, answer in zip(reads, answers, strict=True) if _take(session, r, answer, errors)}
        for instance_id in {r.instance_id for r in reads if r.kind in ("health", "updates")} - found:
            stored.put_gone(session.store, session.tenant, instance_id)
        session.progress(min(start + _INSTANCES_AT_ONCE, len(instances)), len(instances), ", ".join(kinds))
        if session.hopeless:
            break
    failed: dict[str, list[tuple[str, ApiError]]] = {}
    for read, error in errors:
        if error.kind != "not_found":
            failed.setdefault(read.kind, []).append((read.name, error))
    for kind, [(name, error), *others] in failed.items():
        more = f" (and {counted(len(others), 'more instance')})" if others else ""
        session.report.problems.append(f"The {kind} of instance {name}{more} was not read: {error}")
    if gone := sorted({read.name for read, error in errors if error.kind == "not_found"}):
        session.report.notes.append(f"No longer in the API: {first_of(gone, 3)}; what was read before is kept.")


def _call(tenant: str, read: _Read, client: FleetClient) -> tuple[InstanceRows, int | None]:
    """The rows that were read (the content of memories must not leave this function), and the number of actions that
    the API listed if it has more of them, otherwise None."""
    instance_id = read.instance_id
    if read.kind == "health":
        return health_rows(tenant, instance_id, client.get_deep_health(instance_id), read.at), None
    if read.kind == "updates":
        return update_rows(tenant, instance_id, client.get_available_updates(instance_id), read.at), None
    if read.kind == "memory":
        return memory_rows(tenant, instance_id, client.list_memories(instance_id, limit=MEMORY_CAP)), None
    answer = client.list_instance_actions(instance_id, limit=ACTIONS_CAP)
    actions = action_rows(tenant, instance_id, answer)
    listed = len(answer["actions"]) if actions else 0
    is_cut = listed >= ACTIONS_CAP or count(answer.get("total")) > listed
    return InstanceRows(actions=actions), listed if is_cut else None


def _take(
    session: Session,
    read: _Read,
    answer: tuple[InstanceRows, int | None] | ApiError | NotCalled,
    errors: list[tuple[_Read, ApiError]],
) -> bool:
    """Store an answer, or add it to ``errors``. Returns False if the API did not find the instance, and no other sync
    has read it since."""
    scope = f"{session.tenant}|{read.instance_id}"
    cursor = session.store.cursor(read.kind, scope) or Cursor(read.kind, scope)
    if isinstance(answer, NotCalled) or session.is_older(read.at, cursor):
        return True
    if isinstance(answer, ApiError):
        session.note(answer)
        errors.append((read, answer))
        is_gone = answer.kind == "not_found"
        cursor.last_error = None if is_gone else f"{read.name}, {read.kind}: {answer}"
        session.store.put_cursor(cursor)
        return not is_gone
    rows, listed = answer
    if listed is not None:
        _note_gap(session, read, rows.actions, cursor, listed)
    cursor.last_error, cursor.last_ok_at = None, read.at
    session.store.put_instance(rows, cursor)
    session.report.details += 1
    return True


def _note_gap(session: Session, read: _Read, actions: Sequence[Row], cursor: Cursor, listed: int) -> None:
    """Record a gap if there were more actions since the last sync than the API lists."""
    ids = [row["action_id"] for row in actions]
    newest = stored.newest_action(session.store, session.tenant, read.instance_id, unless=ids)
    if newest is None:
        return
    times = [row["created_at"] for row in actions if row["created_at"] is not None]
    cursor.gap_from, cursor.gap_to = newest, min(times, default=session.now())
    session.report.notes.append(
        f"Instance {read.name} had more than {listed} actions since the last sync;"
        " those in between can no longer be read. Sync its actions more often."
    )
