# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The parts of an event: its time, what it shares with others, the description of its task, and the recap."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

RECAP = ("changed", "dark", "failures", "ignored", "ok", "processed", "rescued", "skipped")
Recap = dict[str, dict[str, int]]


class Clock:
    """The time as microseconds since 1970 and as ISO 8601 text in UTC. The text of a second is calculated only once."""

    def __init__(self) -> None:
        self._second = -1
        self._text = ""

    def now(self) -> tuple[int, str]:
        return self.at(time.time_ns() // 1000)

    def at(self, micros: int) -> tuple[int, str]:
        second, rest = divmod(micros, 1_000_000)
        if second != self._second:
            self._second, self._text = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return micros, f"{self._text}.{rest:06d}+00:00"


class Parent(NamedTuple):
    """What the events below one playbook, play or task have in common: ``parent_uuid``, and a part of their data.

    ``loop`` is a task's ``loop_with``.
    """

    uuid: str | None
    data: dict[str, Any]
    loop: Any = None


def is_template(action: str) -> bool:
    """Whether the name of a module is a template, as in ``action: "{{ module }}"``."""
    return "{{" in action or "{%" in action


def described_task(task: Any) -> dict[str, Any]:
    """The data about ``task`` in each of its events, without its path. Not masked yet."""
    described = {
        "task": task.name or task.action,
        "task_uuid": str(task._uuid),
        "task_action": task.action,
        # A template is not evaluated yet, and ansible-core 2.19 and newer would warn about this callback.
        "resolved_action": (not is_template(task.action) and getattr(task, "resolved_action", None)) or task.action,
        "task_args": "",
    }
    role = getattr(task, "_role", None)
    if role is not None:
        described["role"] = role._role_name
        resolved = role.get_name()
        if resolved != role._role_name:
            described["resolved_role"] = resolved
    return described


def recap_of(stats: Any) -> Recap:
    """The counts by host of Ansible's recap, for each of RECAP."""
    return {name: dict(getattr(stats, name, None) or {}) for name in RECAP}


def recap_since(before: Mapping[str, Mapping[str, int]], now: Recap) -> Recap:
    """The counts of one playbook: Ansible adds up those of all playbooks in a command. ``processed``: 1 per host."""

    def added(name: str) -> dict[str, int]:
        old = before.get(name, {})
        return {host: n - old.get(host, 0) for host, n in now[name].items() if n != old.get(host, 0)}

    data = {name: added(name) for name in RECAP}
    data["processed"] = {host: 1 for counts in data.values() for host in counts}
    return data
