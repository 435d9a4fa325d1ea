# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The API -> store: policy, rollouts with their targets, instances and audit. Reads only, and only what may be new.

The newest rollouts are listed (E3); those that are new, were open, or differ from what is stored are read whole (E4,
then E1). audit.py and instances.py read the rest, if it is asked for. Up to 8 calls at once. What fails is named and
does not stop the rest, unless it would fail for all (key, certificate, address).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from ansible_collections.fleetops.agents.plugins.module_utils._client.client import FleetClient
from ansible_collections.fleetops.agents.plugins.module_utils._client.errors import ApiError
from ansible_collections.fleetops.agents.plugins.module_utils._client.pool import NotCalled, Pool
from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import Record, amount
from console.collect.api.audit import sync_audit
from console.collect.api.instances import InstanceSync
from console.collect.api.options import ApiOptions, ApiReport
from console.collect.api.records import policy_row, rollout_row, same_state, target_rows, text
from console.collect.api.session import Session
from console.collect.progress import Progress, silent
from console.record.rows import Cursor, RolloutRead, Row
from console.record.write.store import Store

WORKERS = 8
# Targets kept in memory before they are stored in one transaction.
_TARGETS_AT_ONCE = 2000
_ROLLOUTS_AT_ONCE = 100


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
    with Pool(client, WORKERS) as pool:
        session = Session(store, client, pool, tenant, now, options or ApiOptions(), progress)
        _sync(session)
    return session.report


def _sync(session: Session) -> None:
    store, tenant, options = session.store, session.tenant, session.options
    store.put_tenant(tenant, session.now())
    cursor = store.cursor("api", tenant) or Cursor("api", tenant)
    _sync_policy(session)
    if not session.hopeless:
        _sync_rollouts(session, cursor.last_ok_at)
    cursor.note(session.now(), session.report.problems)
    store.put_cursor(cursor)
    if (options.audit or options.details) and not session.hopeless:
        chosen = _chosen_instances(session)
        if options.details:
            InstanceSync(session).run(chosen, options.details)
        if options.audit and not session.hopeless:
            sync_audit(session, chosen)


def _sync_policy(session: Session) -> None:
    try:
        record = session.client.get_fleet_update_policy()
    except ApiError as error:
        session.failed(error, "The update policy was not read")
        return
    session.store.put_policy(policy_row(session.tenant, record, session.now()))


def _chosen_instances(session: Session) -> list[Row]:
    known = session.store.instances.known(session.tenant)
    if not session.options.instances:
        return known
    chosen: list[Row] = []
    for wanted in dict.fromkeys(session.options.instances):
        found = [row for row in known if wanted in (row["instance_id"], row["hostname"])]
        if not found:
            session.report.problems.append(f"Instance {wanted} is not known: no rollout that was read names it.")
        chosen += [row for row in found if row not in chosen]
    return chosen


def _sync_rollouts(session: Session, not_before: float | None) -> None:
    tenant, store = session.tenant, session.store
    session.progress(0, None, "list of rollouts")
    try:
        listed = session.client.all_fleet_rollouts(most=session.options.rollouts)
    except ApiError as error:
        session.failed(error, "The rollouts were not read")
        return
    known = store.rollouts.known(tenant)
    records = {str(r["id"]): r for r in listed if text(r.get("id"))}
    rows = {i: rollout_row(tenant, r) for i, r in records.items()}
    if len(rows) < len(listed):
        session.report.notes.append(f"{len(listed) - len(rows)} listed rollout(s) have no id and were left out.")
    due = [
        i for i, row in rows.items() if i not in known or _is_due(known[i]) or not same_state(row, known[i], records[i])
    ]
    # Open ones that have dropped out of what was listed.
    due += [i for i, stored in known.items() if i not in rows and _is_due(stored)]
    reads: list[RolloutRead] = []
    answers = session.pool.as_completed(partial(_read_rollout, session, rollout_id) for rollout_id in due)
    for done, (position, answer) in enumerate(answers, 1):
        rollout_id = due[position]
        reads += _rollout_result(session, rollout_id, answer, rows.get(rollout_id), known.get(rollout_id))
        session.progress(done, len(due), "rollouts")
        if len(reads) >= _ROLLOUTS_AT_ONCE or sum(len(r.targets or ()) for r in reads) >= _TARGETS_AT_ONCE:
            store.put_rollouts(reads, not_before=not_before)
            reads = []
    store.put_rollouts(reads, not_before=not_before)


def _is_due(stored: Row) -> bool:
    return bool(stored["is_open"]) or not stored["targets_read"]


def _read_rollout(session: Session, rollout_id: str, client: FleetClient) -> RolloutRead:
    read_at = session.now()
    detail = client.get_rollout(rollout_id)
    timeline = client.get_rollout_timeline(rollout_id)
    entries = timeline.get("timeline")
    entries = [e for e in entries if isinstance(e, dict)] if isinstance(entries, list) else []
    targets: Sequence[Record] = detail["targets"]
    row = rollout_row(session.tenant, {**detail["rollout"], "id": rollout_id}, targets)
    row["total_duration_s"] = amount(timeline.get("total_duration_seconds"))
    return RolloutRead(row, target_rows(session.tenant, rollout_id, targets, entries), read_at)


def _rollout_result(
    session: Session,
    rollout_id: str,
    answer: RolloutRead | ApiError | NotCalled,
    listed: Row | None,
    stored: Row | None,
) -> list[RolloutRead]:
    """What is stored of one rollout, after it was read, could not be read, or was not tried."""
    scope, report = f"{session.tenant}|{rollout_id}", session.report
    if isinstance(answer, RolloutRead):
        if stored is not None and not stored["targets_read"]:
            session.store.drop_cursor("rollout", scope)
        report.rollouts += 1
        report.targets += len(answer.targets or ())
        return [answer]
    if isinstance(answer, ApiError):
        if answer.kind == "not_found" and listed is None and stored is not None:
            report.notes.append(f"Rollout {rollout_id} is gone from the API; its last known state is kept.")
            facts = {k: v for k, v in stored.items() if k not in ("first_seen", "updated_at", "targets_read")}
            return [RolloutRead({**facts, "is_open": 0}, [], session.now())]
        session.failed(answer, f"Rollout {rollout_id} was not read")
        session.store.put_cursor(Cursor("rollout", scope, last_error=str(answer)))
    # What the list said is stored; without its targets the rollout stays due.
    return [RolloutRead(listed, None, session.now())] if listed else []
