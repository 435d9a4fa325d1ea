# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Whether a file of the user's own tasks can be run around a run. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_PLAY_KEYS = ("hosts", "import_playbook", "ansible.builtin.import_playbook")
_META = ("meta", "ansible.builtin.meta", "ansible.legacy.meta")
# These would also end the tasks that follow in the same play: the checks of the run, or its report.
_ENDS = ("end_play", "end_batch", "end_host")
_BLOCKS = ("block", "rescue", "always")


def hook_problem(content: Any) -> str:
    """Why the content of a task file cannot be run, as a phrase; empty if it can. An empty file has no tasks."""
    if content is None:
        return ""
    if not isinstance(content, list) or not all(isinstance(task, Mapping) for task in content):
        return "is not a list of tasks"
    if any(key in task for task in content for key in _PLAY_KEYS):
        return "holds plays, and a list of tasks was expected"
    for task in _tasks_in(content):
        for action in _META:
            words = str(task.get(action) or "").split()
            if words and words[0] in _ENDS:
                return f"has the task meta: {words[0]}, which would end the run itself; use when instead"
    return ""


def _tasks_in(tasks: list[Any]) -> Iterator[Mapping[str, Any]]:
    """The tasks, and those of their blocks."""
    for task in tasks:
        if isinstance(task, Mapping):
            yield task
            for part in _BLOCKS:
                if isinstance(task.get(part), list):
                    yield from _tasks_in(task[part])
