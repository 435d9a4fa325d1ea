# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Polling the rollouts: the list (E3) page by page, and the timelines (E1) of those that may have changed."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Mapping

from ansible_collections.fleetops.agents.plugins.module_utils._client.client import ROLLOUTS_PAGE, FleetClient
from ansible_collections.fleetops.agents.plugins.module_utils._client.errors import ApiError
from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import (
    Record,
    is_single_target,
    parse_time,
    records_in,
    rollout_is_terminal,
)
from ansible_collections.fleetops.agents.plugins.module_utils._rules.ids import id_key

from .api import Api, for_each, is_newest_first
from .delivery import Delivery
from .errors import SourceError, as_sentence
from .events import Step, bounded_text, is_ahead
from .rollout_steps import (
    FINISHED_KEPT,
    is_known_or_past,
    must_be_read,
    prune,
    rollout_step,
    unhealthy_until,
    unread_rollout,
)
from .settings import Settings

log = logging.getLogger("fleetops.agents.eda.fleet")

# How many finished rollouts are read at the first start to learn the names of the instances.
FLEET_ROLLOUTS_READ, SINGLE_ROLLOUTS_READ = 5, 45


def _page_of_rollouts(client: FleetClient, limit: int, offset: int) -> list[Record]:
    return client.list_fleet_rollouts(limit=limit, offset=offset)


class _List:
    """The list of rollouts, which is read page by page. ``rows``: the rows that were read so far."""

    def __init__(self, pages: AsyncIterator[list[Record]]) -> None:
        self._pages = pages
        self.rows: list[Record] = []

    async def next_page(self) -> list[Record]:
        """The rows that were not on earlier pages; an empty list at the end."""
        rows: list[Record] = await anext(self._pages, [])
        self.rows += rows
        return rows

    @property
    def newest_first(self) -> bool:
        return is_newest_first(self.rows, "created_at")

    @property
    def fleet_rollouts(self) -> int:
        return sum(not is_single_target(row) for row in self.rows)


class Rollouts:
    """Polls the rollouts."""

    def __init__(self, settings: Settings, api: Api, delivery: Delivery) -> None:
        self._settings, self._api, self._delivery = settings, api, delivery
        self._rest: _List | None = None
        self._next_poll = 0.0

    @property
    def is_due(self) -> bool:
        """Whether ``interval`` has passed since the last poll. A poll of many instances takes longer."""
        return time.monotonic() >= self._next_poll

    async def poll_again(self) -> None:
        """Poll between two parts of a poll of the instances. The past is read first, if it has not been read yet."""
        await self.poll_other_pages()
        await self.poll_first_page()

    async def poll_first_page(self) -> None:
        """Poll the first page of the list. If further pages must be read, ``poll_other_pages`` does that."""
        self._next_poll = time.monotonic() + self._settings.interval
        known = self._delivery.known
        rollouts: dict[str, Record] = known.get("rollouts", {})
        listed = _List(self._api.pages(_page_of_rollouts, ROLLOUTS_PAGE))
        try:
            rows = await listed.next_page()
        except ApiError as error:
            if error.kind == "not_found" and not rollouts:
                raise SourceError(as_sentence(error)) from None
            raise
        await self._take(rows, is_first_page=True, is_first_poll="rollouts" not in known)
        past = [is_known_or_past(row, rollouts, known.get("floor")) for row in rows]
        # A rollout may appear late, below newer ones. So with short pages, as many rows are read as with full ones.
        is_enough = len(rows) >= ROLLOUTS_PAGE or rollouts.keys() <= {str(row["id"]) for row in rows}
        ends_in_past = not rows or (past[-1] and is_enough and listed.newest_first)
        self._rest = None if ends_in_past and self._delivery.known.get("past_read", True) else listed

    async def poll_other_pages(self) -> None:
        """Poll the pages after the first one, down to known rollouts or, at the first start, to past ones."""
        listed, self._rest = self._rest, None
        if listed is None:
            return
        known, found, is_whole = self._delivery.known, list[Record](), True
        is_first_poll = not known.get("past_read", True)
        while rows := await listed.next_page():
            found += rows
            new = [row for row in rows if not is_known_or_past(row, known["rollouts"], known["floor"])]
            if is_first_poll and listed.fleet_rollouts >= FLEET_ROLLOUTS_READ:
                # Before that, finished ones are read too, because fleet rollouts contain the names of the instances.
                new = [row for row in new if not rollout_is_terminal(row)]
            if not new and len(listed.rows) >= ROLLOUTS_PAGE and listed.newest_first:
                is_whole = False
                break
        await self._take(found, is_first_page=False, is_first_poll=is_first_poll, is_whole=is_whole)

    async def _take(
        self, rows: list[Record], *, is_first_page: bool, is_first_poll: bool, is_whole: bool = False
    ) -> None:
        """Read the listed rollouts that may have changed, and send the events.

        ``is_whole``: whether ``rows`` reach the end of the list.
        """
        known = self._delivery.known
        rollouts: dict[str, Record] = known.get("rollouts", {})
        floor = known.get("floor")
        listed = {str(row["id"]): row for row in rows}
        if not is_first_poll:
            listed = {
                i: row for i, row in listed.items() if i in rollouts or not is_known_or_past(row, rollouts, floor)
            }
        due = {i: row for i, row in listed.items() if must_be_read(rollouts.get(i), row)}
        if is_first_page:
            due |= {i: {} for i, old in rollouts.items() if i not in listed and old["phase"] != "finished"}
        unread, for_names = self._of_the_past(due, len(rollouts)) if is_first_poll else (set(), set())
        steps = {i: Step(unread_rollout(due[i], "finished"), []) for i in unread}
        names: dict[str, str] = dict(known.get("names", {}))
        excused: dict[str, list[float]] = dict(known.get("excused", {}))

        async def read(rollout_id: str) -> None:
            old, row = rollouts.get(rollout_id), due[rollout_id]
            try:
                timeline = await self._api.call(lambda client: client.get_rollout_timeline(rollout_id))
            except ApiError as error:
                step = self._unreadable(error, rollout_id, old, row, is_first_poll)
                if step is not None:
                    steps[rollout_id] = step
                return
            step = rollout_step(old, row or {"created_at": timeline.get("created_at")}, timeline)
            # A past rollout causes no events, so it is not read again either.
            steps[rollout_id] = Step({**step.known, "short": 0}, []) if rollout_id in for_names else step
            self._note_instances(timeline, names, excused)

        await for_each([i for i in due if i not in unread], read)
        events = [row for i in sorted(steps, key=lambda i: steps[i].known["created"] or 0) for row in steps[i].events]
        rollouts = {**rollouts, **{i: step.known for i, step in steps.items()}}
        if is_first_poll and not is_first_page and not is_whole:
            # Rollouts that are older than those on the pages that were read are past.
            floor = min((old["created"] for old in rollouts.values() if old["created"] is not None), default=floor)
        rollouts, floor = prune(rollouts, floor)
        fresh = {**known, "rollouts": rollouts, "floor": floor, "names": names, "excused": excused}
        if is_first_poll:
            fresh["past_read"] = not is_first_page
        if fresh != known:
            is_wanted = not is_first_poll or self._settings.start_from == "earliest"
            await self._delivery.update(fresh, events if is_wanted else [])

    def _unreadable(
        self, error: ApiError, rollout_id: str, old: Record | None, row: Record, is_first_poll: bool
    ) -> Step | None:
        """The step for a rollout whose timeline could not be read; None if its known state does not change.

        Raises ``error`` if it concerns other calls too.
        """
        # One server of several may list a rollout that was just started, while another one does not know it yet.
        is_listed_as_open = bool(row) and not rollout_is_terminal(row)
        if error.kind == "not_found" and not is_listed_as_open:
            log.warning("The server no longer knows rollout %s, so it is no longer followed.", rollout_id)
            gone = unread_rollout(row, "finished")
            return Step({**gone, "created": old["created"] if old else gone["created"]}, [])
        if not self._api.concerns_one_call(error):
            raise error
        self._api.warn_once(error)
        # If it can be read later, it belongs to the past and causes no events.
        is_past = is_first_poll and self._settings.start_from == "now"
        return Step(unread_rollout(row, "open"), []) if is_past else None

    def _of_the_past(self, due: Mapping[str, Record], known: int) -> tuple[set[str], set[str]]:
        """The finished rollouts of the first poll: those that are not read, and those that are read only for names.

        ``known``: the number of newer rollouts that are known.
        """
        finished = [i for i, row in due.items() if rollout_is_terminal(row)]
        finished.sort(key=lambda i: -(parse_time(due[i].get("created_at")) or 0))
        most = max(0, FINISHED_KEPT - known)
        reported = set(finished[:most]) if self._settings.start_from == "earliest" else set()
        singles = [i for i in finished if is_single_target(due[i])]
        fleet = [i for i in finished if not is_single_target(due[i])]
        for_names = set(fleet[:FLEET_ROLLOUTS_READ]) | set(singles[:SINGLE_ROLLOUTS_READ])
        return set(finished) - for_names - reported, for_names - reported

    def _note_instances(self, timeline: Record, names: dict[str, str], excused: dict[str, list[float]]) -> None:
        """Add the host names of a timeline to ``names``, and its deployments to ``excused``."""
        spelled = {id_key(known): known for known in names}
        for target in records_in(timeline["timeline"]):
            instance_id = bounded_text(target.get("instance_id"))
            if instance_id is None:
                continue
            instance_id = spelled.setdefault(id_key(instance_id), instance_id)
            if hostname := bounded_text(target.get("instance_hostname")):
                names[instance_id] = hostname
            else:
                names.setdefault(instance_id, instance_id)
            started, until = parse_time(target.get("started_at")), unhealthy_until(target)
            known = excused.get(instance_id, [0.0])[0]
            if started is None or until is None or is_ahead(started, self._api.server_time):
                continue
            if started >= known or is_ahead(known, self._api.server_time):
                excused[instance_id] = [started, until]
