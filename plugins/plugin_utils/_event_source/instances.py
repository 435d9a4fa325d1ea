# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Polling the instances: the health (E16) and the audit events (E20) of each."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from functools import partial

from ansible_collections.fleetops.agents.plugins.module_utils._client.client import AUDIT_TIMES, FleetClient
from ansible_collections.fleetops.agents.plugins.module_utils._client.errors import ApiError
from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import Record

from .api import Api, Fetch, for_each, is_newest_first, is_oldest_first
from .delivery import Delivery
from .events import AUDIT_EVENT, HEALTH_EVENTS, UNHEALTHY, Step, is_ahead
from .instance_steps import AUDIT_LATENESS, audit_step, audit_time, health_step, new_audit_events
from .rollouts import Rollouts
from .settings import Settings

# How many audit events a page has.
AUDIT_PAGE = 100
# At the first poll of an instance, at least this many of its newest audit events are read.
AUDIT_FIRST = 500
# For how many seconds an instance is polled that the server no longer knows, unless a rollout has it again.
GONE_POLLED = 86_400.0
# After how many instances their events are sent, and the rollouts are polled if that is due.
INSTANCES_AT_ONCE = 50


class Instances:
    """Polls the instances."""

    def __init__(self, settings: Settings, api: Api, delivery: Delivery, rollouts: Rollouts) -> None:
        self._settings, self._api, self._delivery, self._rollouts = settings, api, delivery, rollouts

    async def poll(self) -> None:
        """Poll all instances, if events about them are wanted. Raises ApiError and SourceError."""
        if not self._settings.wants(*HEALTH_EVENTS, AUDIT_EVENT):
            return
        has_new = False
        ids = sorted(self._delivery.names())
        for start in range(0, len(ids), INSTANCES_AT_ONCE):
            if start and self._rollouts.is_due:
                await self._rollouts.poll_again()
            answers: dict[str, Record | None] = {}
            before = self._delivery.known
            audit, of_audit = dict(before.get("audit", {})), list[Record]()
            await for_each(ids[start : start + INSTANCES_AT_ONCE], partial(self._poll_one, answers, audit, of_audit))
            health, events = self._health(answers)
            if any(row["type"] == UNHEALTHY for row in events):
                # A deployment that has begun since the rollouts were polled may explain it.
                await self._rollouts.poll_again()
                health, events = self._health(answers)
            has_new = has_new or len(health) + len(audit) > len(before.get("health", {})) + len(before.get("audit", {}))
            events += of_audit
            await self._delivery.update(
                {**self._delivery.known, "health": health, "audit": audit}, events, on_disk=bool(events)
            )
        known = self._delivery.known
        until = self._api.server_time - GONE_POLLED
        long_gone = {i for i, state in known.get("health", {}).items() if state.get("gone_at", until) < until}
        names = {i: name for i, name in known["names"].items() if i not in long_gone}
        if has_new or names != known["names"]:
            # The first state of an instance causes no event, but it must still be known after a restart.
            await self._delivery.update({**known, "names": names}, [])

    async def _poll_one(
        self, answers: dict[str, Record | None], audit: Record, events: list[Record], instance_id: str
    ) -> None:
        """Poll one instance: add its health to ``answers``, its new audit state to ``audit``, its events to ``events``.

        The health is None if the server does not know the instance.
        """
        try:
            if self._settings.wants(*HEALTH_EVENTS):
                answers[instance_id] = await self._health_of(instance_id)
            if self._settings.wants(AUDIT_EVENT) and answers.get(instance_id, {}) is not None:
                audit[instance_id], new = await self._audit(instance_id, audit.get(instance_id))
                events += new
        except ApiError as error:
            if not self._api.concerns_one_call(error):
                raise
            self._api.warn_once(error)

    async def _health_of(self, instance_id: str) -> Record | None:
        try:
            return await self._api.call(lambda client: client.get_deep_health(instance_id, force=self._settings.live))
        except ApiError as error:
            if error.kind == "not_found":
                return None
            raise

    def _health(self, answers: Mapping[str, Record | None]) -> tuple[Record, list[Record]]:
        """The new state of the health of all instances, and the events."""
        known, server_time = self._delivery.known, self._api.server_time
        health, events = dict(known.get("health", {})), list[Record]()
        for instance_id, answer in answers.items():
            started, excused = known.get("excused", {}).get(instance_id, (0.0, 0.0))
            health[instance_id], new = health_step(
                health.get(instance_id),
                instance_id,
                answer,
                needed=self._settings.unhealthy_after,
                excused=0.0 if is_ahead(started, server_time) else excused,
                server_time=server_time,
            )
            events += new
        return health, events

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
