# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Polling the instances: the health (E16) and the audit events (E20) of each."""

from __future__ import annotations

from contextlib import aclosing
from functools import partial

from ansible_collections.fleetops.agents.plugins.module_utils._client.client import AUDIT_TIMES, FleetClient
from ansible_collections.fleetops.agents.plugins.module_utils._client.errors import ApiError
from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import Record

from .api import Api, Fetch, for_each, is_newest_first, is_oldest_first
from .delivery import Delivery
from .events import AUDIT_EVENT, HEALTH_EVENTS, Step, is_ahead
from .instance_steps import AUDIT_LATENESS, audit_step, audit_time, health_step, new_audit_events
from .settings import Settings

# How many audit events a page has.
AUDIT_PAGE = 100
# At the first poll of an instance, at least this many of its newest audit events are read.
AUDIT_FIRST = 500
# After how many instances the known state is written to the watermark file.
INSTANCES_AT_ONCE = 200


class Instances:
    def __init__(self, settings: Settings, api: Api, delivery: Delivery) -> None:
        self._settings, self._api, self._delivery = settings, api, delivery

    async def poll(self) -> None:
        """Poll all instances, if events about them are wanted. Raises ApiError and SourceError."""
        if not self._settings.wants(*HEALTH_EVENTS, AUDIT_EVENT):
            return
        has_new = False
        ids = sorted(self._delivery.names())
        for start in range(0, len(ids), INSTANCES_AT_ONCE):
            before = self._delivery.known
            health, audit = dict(before.get("health", {})), dict(before.get("audit", {}))
            events: list[Record] = []
            await for_each(ids[start : start + INSTANCES_AT_ONCE], partial(self._poll_one, health, audit, events))
            has_new = has_new or len(health) + len(audit) > len(before.get("health", {})) + len(before.get("audit", {}))
            await self._delivery.update({**before, "health": health, "audit": audit}, events, on_disk=bool(events))
        if has_new:
            # The first state of an instance causes no event, but it must still be known after a restart.
            await self._delivery.update(self._delivery.known, [])

    async def _poll_one(self, health: Record, audit: Record, events: list[Record], instance_id: str) -> None:
        """Poll one instance: set its new state in ``health`` and ``audit``, and add its events to ``events``."""
        try:
            if self._settings.wants(*HEALTH_EVENTS):
                health[instance_id], new = await self._health(instance_id, health.get(instance_id))
                events += new
            if self._settings.wants(AUDIT_EVENT) and health.get(instance_id, {}).get("state") != "gone":
                audit[instance_id], new = await self._audit(instance_id, audit.get(instance_id))
                events += new
        except ApiError as error:
            if not self._api.concerns_one_call(error):
                raise
            self._api.warn_once(error)

    async def _health(self, instance_id: str, known: Record | None) -> Step:
        try:
            health = await self._api.call(lambda client: client.get_deep_health(instance_id, force=self._settings.live))
        except ApiError as error:
            if error.kind == "not_found":
                return health_step(known, instance_id, None)
            raise
        started, excused = self._delivery.known.get("excused", {}).get(instance_id, (0.0, 0.0))
        server_time = self._api.server_time
        return health_step(
            known,
            instance_id,
            health,
            needed=self._settings.unhealthy_after,
            excused=0.0 if is_ahead(started, server_time) else excused,
            server_time=server_time,
        )

    async def _audit(self, instance_id: str, known: Record | None) -> Step:
        past: Record = dict(known or {"floor": None, "ids": {}})
        if past["floor"] is not None:
            # It was set while the server's clock was ahead.
            past["floor"] = min(past["floor"], self._api.server_time)

        def fetch(client: FleetClient, limit: int, offset: int) -> list[Record]:
            return client.list_audit_events(instance_id, limit=limit, offset=offset)

        try:
            rows, end = await (self._first_audit(fetch, past) if known is None else self._new_audit(fetch, past))
        except ApiError as error:
            if error.kind == "not_found":
                return Step(past, [])
            raise
        outcomes = self._settings.audit_outcomes if known or self._settings.start_from == "earliest" else ()
        return audit_step({**past, "end": end}, instance_id, rows, outcomes, server_time=self._api.server_time)

    async def _first_audit(self, fetch: Fetch, past: Record) -> tuple[list[Record], int]:
        """The newest audit events, 500 or more, and the length of the list if it begins with the oldest row, else 0."""
        rows: list[Record] = []
        async with aclosing(self._api.pages(fetch, AUDIT_PAGE)) as pages:
            async for page in pages:
                rows += page
                if len(rows) >= AUDIT_FIRST and (
                    is_oldest_first(rows, *AUDIT_TIMES)
                    or (is_newest_first(rows, *AUDIT_TIMES) and _span(rows) >= AUDIT_LATENESS)
                ):
                    break
        if not is_oldest_first(rows, *AUDIT_TIMES):
            return rows, 0
        if len(rows) < AUDIT_FIRST:
            return rows, len(rows)
        start = max(0, await self._api.end_of(fetch, AUDIT_PAGE, len(rows)) - AUDIT_FIRST)
        return await self._audit_from(fetch, past, start) if start else (rows, len(rows))

    async def _new_audit(self, fetch: Fetch, past: Record) -> tuple[list[Record], int]:
        """The audit events that may be new, and the length of the list if it begins with the oldest row, else 0."""
        if not past.get("end"):
            return await self._audit_from(fetch, past, 0)
        start, step = max(0, past["end"] - AUDIT_PAGE), AUDIT_PAGE
        while True:
            rows, end = await self._audit_from(fetch, past, start)
            # Retention removes rows at the beginning. If the first row is not new, none was missed.
            if not start or (rows and not new_audit_events(past, rows[:1])):
                return rows, end
            start, step = max(0, start - step), step * 2

    async def _audit_from(self, fetch: Fetch, past: Record, start: int) -> tuple[list[Record], int]:
        """The rows from an offset to the end of the list or, if the newest row is first, down to known rows."""
        rows, floor = list[Record](), past["floor"]
        async with aclosing(self._api.pages(fetch, AUDIT_PAGE, start)) as pages:
            async for page in pages:
                rows += page
                times = [at for row in page if (at := audit_time(row)) is not None]
                is_old = not new_audit_events(past, page) and (floor is None or (times and min(times) <= floor))
                if is_old and is_newest_first(rows, *AUDIT_TIMES):
                    break
        # If only the end of a list was read, an earlier poll has found that it begins with the oldest row.
        has_oldest_first = is_oldest_first(rows, *AUDIT_TIMES) or (start and not is_newest_first(rows, *AUDIT_TIMES))
        return rows, start + len(rows) if has_oldest_first else 0


def _span(rows: list[Record]) -> float:
    """The seconds between the oldest and the newest row; 0 if no row has a time."""
    times = [at for row in rows if (at := audit_time(row)) is not None]
    return max(times) - min(times) if times else 0.0
