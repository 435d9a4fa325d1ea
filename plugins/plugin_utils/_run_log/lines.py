# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The text of an event, put together from parts that were made into JSON once.

After each fork of a worker the controller pays for every page of memory that it writes to, and to count a reference
is to write. So an event makes few objects and touches few old ones: no dictionaries, one string of parts.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from ansible_collections.fleetops.agents.plugins.module_utils._client.redact import Redactor
from ansible_collections.fleetops.agents.plugins.plugin_utils._run_log.results import dump


class Clock:
    """The time as microseconds since 1970 and as ISO 8601 text in UTC; each second is made into text once."""

    def __init__(self) -> None:
        self._second = -1
        self._text = ""

    def now(self) -> tuple[int, str]:
        return self.told(time.time_ns() // 1000)

    def told(self, micros: int) -> tuple[int, str]:
        second, rest = divmod(micros, 1_000_000)
        if second != self._second:
            self._second, self._text = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return micros, f"{self._text}.{rest:06d}+00:00"


class Head(NamedTuple):
    """The parts that all events of one task (or play, or playbook) have in common."""

    # An event's parent, and its data up to what is its own: '"parent_uuid":"...","event_data":{"playbook":"...",'
    text: str
    # A task's loop, as JSON.
    loop: str = "null"


def members(data: Mapping[str, Any], redactor: Redactor) -> str:
    """The members of ``data`` as JSON, each followed by a comma."""
    return dump(data, redactor)[1:-1] + "," if data else ""


def head(parent: str | None, data: str, loop: str = "null") -> Head:
    """The head of events below ``parent`` (a uuid) whose data begins with the members ``data``."""
    return Head((f'"parent_uuid":"{parent}",' if parent else "") + '"event_data":{' + data, loop)
