# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One sync of the API: reads the policy, rollouts with their targets, instances and audit, but only what may be new.

rollouts.py, instances.py and audit.py read one kind of data each, the last two on request. session.py defines how much
a follower reads at once. There are up to 8 calls at a time. An error is reported and does not stop the rest, unless it
would occur in every call (key, certificate, address).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from ansible_collections.fleetops.agents.plugins.module_utils._client.client import FleetClient
from ansible_collections.fleetops.agents.plugins.module_utils._client.errors import ApiError
from ansible_collections.fleetops.agents.plugins.module_utils._client.pool import Pool
from ansible_collections.fleetops.agents.plugins.module_utils._rules.ids import same_id
from console.collect.api.audit import sync_audit
from console.collect.api.instances import sync_instances
from console.collect.api.records import policy_row
from console.collect.api.rollouts import sync_rollouts
from console.collect.api.session import ApiOptions, ApiReport, PreviousReads, Reading, Session
from console.collect.follow_pace import due_instances
from console.collect.progress import Progress, silent
from console.record.rows import Cursor, Row
from console.record.write import clock, instances
from console.record.write.store import Store
from console.text.times import duration

# How exactly the server's clock is known, in seconds: the Date of an answer has whole seconds.
_EXACT_TO = 5.0


def tenant_of(client: FleetClient) -> str:
    """The API's address in the spelling of the client, so that each spelling of it means the same tenant."""
    return str(client.transport.settings.api_url)


def sync_api(
    store: Store,
    client: FleetClient,
    *,
    now: Callable[[], float],
    options: ApiOptions | None = None,
    progress: Progress = silent,
    reading: Reading | None = None,
    previous: PreviousReads | None = None,
) -> ApiReport:
    """Bring the store up to date with the tenant of ``client``, which should be read-only and is cloned for each
    thread.

    ``reading``: how much is read, by default everything. ``previous``: those of the follower, which is updated.
    """
    reading = reading or Reading()
    with Pool(client, reading.workers) as pool:
        session = Session(
            store,
            client,
            pool,
            tenant_of(client),
            now,
            options or ApiOptions(),
            progress,
            reading,
            previous or PreviousReads(),
        )
        _sync(session)
    return session.report


def _sync(session: Session) -> None:
    store, tenant, options = session.store, session.tenant, session.options
    if not _is_clock_right(session):
        return
    store.put_tenant(tenant, session.now())
    cursor = store.cursor("api", tenant) or Cursor("api", tenant)
    if session.reading.policy:
        _sync_policy(session)
    if not session.hopeless:
        sync_rollouts(session)
    cursor.note(session.now(), session.report.problems)
    cursor.last_ts = session.client.server_time or cursor.last_ts
    if (server_now := session.client.seconds_since(0.0)) is not None:
        ahead = server_now - session.now()
        cursor.state = {"ahead": ahead} if abs(ahead) > _EXACT_TO else {}
    store.put_cursor(cursor)
    if (options.audit or options.details) and not session.hopeless and session.reading.instances != 0:
        chosen = _due_instances(session, _chosen_instances(session))
        if options.details:
            sync_instances(session, chosen, options.details)
        if options.audit and not session.hopeless:
            sync_audit(session, chosen)


def _is_clock_right(session: Session) -> bool:
    """Correct times that were stored while this machine's clock was ahead. Returns False if this machine's clock is
    behind the server's: then nothing may be stored."""
    now = session.now()
    if (ahead := clock.ahead_of(session.store, now)) is None:
        return True
    with contextlib.suppress(ApiError):
        session.client.get_fleet_update_policy()
    server = session.client.server_time
    if server is None:
        session.report.notes.append(
            f"The newest time in the database is {duration(ahead)} ahead of this machine's clock. It was not corrected,"
            " because the server did not send the time."
        )
    # The server's time is nearer to the newest stored time than to this machine's.
    elif server - now > ahead / 2:
        session.report.problems.append(
            f"The clock of this machine is {duration(server - now)} behind that of the server, and {duration(ahead)}"
            " behind the newest time in the database. Nothing was stored. Correct the clock, and sync again."
        )
        return False
    else:
        clock.correct(session.store, now)
        # Otherwise everything would count as just read until the clock has reached these times.
        session.previous.tried_at.clear()
        session.previous.details_at.clear()
        session.report.notes.append(
            f"The clock of this machine was {duration(ahead)} ahead when the database was last written. The times that"
            " were stored then are corrected."
        )
    return True


def _sync_policy(session: Session) -> None:
    try:
        record = session.client.get_fleet_update_policy()
    except ApiError as error:
        session.failed(error, "The update policy was not read")
        return
    session.store.put_policy(policy_row(session.tenant, record, session.now()))


def _chosen_instances(session: Session) -> list[Row]:
    known = instances.known(session.store, session.tenant)
    if not session.options.instances:
        return known
    chosen: list[Row] = []
    for wanted in dict.fromkeys(session.options.instances):
        found = [row for row in known if wanted == row["hostname"] or same_id(wanted, row["instance_id"])]
        if not found:
            session.report.problems.append(f"Instance {wanted} is not known: no rollout that was read contains it.")
        chosen += [row for row in found if row not in chosen]
    return chosen


def _due_instances(session: Session, chosen: list[Row]) -> list[Row]:
    """Those of the chosen instances whose audit and details are read now, most urgent first."""
    reading, previous, now = session.reading, session.previous, session.now()
    rows = {row["instance_id"]: row for row in chosen}
    due = due_instances(list(rows), previous.details_at, previous.ended_at, now, reading.details_after)[
        : reading.instances
    ]
    for instance_id in due:
        previous.details_at[instance_id] = now
        previous.ended_at.pop(instance_id, None)
    return [rows[instance_id] for instance_id in due]
