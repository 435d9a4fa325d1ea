# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Numbers the events of one run and appends them to its file as JSON lines."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from .events import RECAP, Clock, Parent
from .log_file import MIN_RESERVE, LogFile
from .masks import Masks
from .results import dump

# Bytes that are reserved for the artifacts on a full disk.
MIN_ARTIFACTS = 4096


class EventWriter:
    """Writes the events of the run ``run_id`` into ``file``. Counters begin at 1 and have no gaps.

    ``dropped``: the number of events that could not be written. All later events contain it.
    """

    def __init__(self, file: LogFile, run_id: str, masks: Masks, clock: Clock) -> None:
        self.dropped = 0
        self._file, self._masks, self._clock = file, masks, clock
        self._of_run = {"pid": os.getpid(), "runner_ident": run_id}
        self._counter = 0
        # A random number takes a system call. A single one for the run, combined with the counter, is also unique.
        self._uuid_start = str(uuid.uuid4())[:24]
        self._recap_room: dict[str, int] = {}

    @property
    def is_open(self) -> bool:
        return self._file.is_open

    def write(
        self,
        event: str,
        parent: Parent,
        data: Mapping[str, Any] | None = None,
        *,
        created: str = "",
        event_uuid: str = "",
        last: bool = False,
    ) -> None:
        """Append one event with the data of ``parent`` and ``data``, which are masked already.

        The ``last`` event may use the reserved room. Raises OSError if the event cannot be written, and ValueError,
        TypeError or RecursionError if JSON cannot represent it. The counter is then not increased.
        """
        counter = self._counter + 1
        event_uuid = event_uuid or f"{self._uuid_start}{counter:012x}"
        record: dict[str, Any] = {
            "uuid": event_uuid,
            "counter": counter,
            "event": event,
            "created": created or self._clock.now()[1],
            **self._of_run,
        }
        if self.dropped:
            record["dropped_events"] = self.dropped
        if parent.uuid:
            record["parent_uuid"] = parent.uuid
        record["event_data"] = {**parent.data, **(data or {}), "uuid": event_uuid}
        line = dump(record, self._masks.redactor)
        if event.startswith("playbook_"):
            self._file.check_name()
        append = self._file.append_last if last else self._file.append
        append(line.encode("ascii"))
        self._counter = counter

    def reserve_recap(self, hosts: Iterable[str]) -> None:
        """Reserve room on the disk for a recap with these hosts too, in each of its counts."""
        for host in hosts:
            if host not in self._recap_room:
                written = dump(self._masks.host_name(host), self._masks.redactor)
                self._recap_room[host] = (len(written) + 8) * len(RECAP)
        self._file.reserve(MIN_RESERVE + MIN_ARTIFACTS + sum(self._recap_room.values()))

    def close(self) -> None:
        self._file.close()
