# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sending the events to ansible-rulebook. Each is noted in the watermark's log before and after it is sent."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import Record

from .errors import SourceError
from .events import addressed, names_by_id
from .settings import Settings
from .watermark import Watermark

log = logging.getLogger("fleetops.agents.eda.fleet")

# Seconds to wait until the rule engine confirms an event.
FEEDBACK_TIMEOUT = 60.0


class Delivery:
    """``queue``: ansible-rulebook's queue, with an async ``put``. ``feedback``: its queue of confirmations, or None.

    ``known`` is the known state of the fleet, which is stored in the watermark file: rollouts, floor, past_read, health
    and audit (see rollout_steps.py and instance_steps.py), names, which are the API's host names by instance id, or
    the ids themselves if there is no host name, and excused. By instance id, excused has the start of the newest known
    deployment, and until when this deployment explains that the instance is unhealthy (both in epoch seconds).
    """

    def __init__(self, settings: Settings, mark: Watermark, queue: Any, feedback: asyncio.Queue[Any] | None) -> None:
        self._settings, self._mark = settings, mark
        self._queue, self._feedback = queue, feedback

    @property
    def known(self) -> Record:
        return self._mark.known

    def names(self) -> dict[str, str]:
        """The names in the inventory, by instance id, of all instances of the API and of the option ``instances``."""
        hostnames = {i: None if name == i else name for i, name in self.known["names"].items()}
        return names_by_id(hostnames, self._settings.instances)

    async def update(self, known: Record, events: list[Record], *, on_disk: bool = True) -> None:
        """Write the known state and the events that follow from it to the watermark file, then send the events.

        Without ``on_disk`` the state is kept only in memory. This is for a state without events that a later poll would
        find again.
        """
        self._mark.known = known
        if not on_disk:
            return
        names = self.names()
        self._mark.commit([addressed(row, names) for row in events if row["type"] in self._settings.events])
        await self.send()

    async def send(self) -> None:
        """Send the events in the outbox of the watermark file. Raises SourceError if the file cannot be written."""
        while self._mark.outbox:
            row = self._mark.outbox[0]
            self._mark.note("put", row["id"])
            try:
                await self._queue.put({**row, "meta": dict(row["meta"])})
            except asyncio.CancelledError:
                try:
                    self._mark.note("back", row["id"])
                except SourceError as error:
                    # ansible-rulebook ends anyway. Without the note, the event is later sent again as repeated.
                    log.warning("%s", error)
                raise
            if self._feedback is not None:
                await self._confirmation(self._feedback, row["id"])
            # Between put and this line nothing is awaited, so only a kill of the process can interrupt them.
            self._mark.note("done", row["id"])
            del self._mark.outbox[0]

    async def _confirmation(self, feedback: asyncio.Queue[Any], event_id: str) -> None:
        """Wait for at most a minute until the rule engine confirms that it has received the event."""
        try:
            while True:
                answer = await asyncio.wait_for(feedback.get(), FEEDBACK_TIMEOUT)
                if answer.get("meta", {}).get("uuid") == event_id:
                    return
        except TimeoutError:
            log.warning(
                "ansible-rulebook did not confirm the event %s within %.0f s. It counts as sent.",
                event_id,
                FEEDBACK_TIMEOUT,
            )
