# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Whether a file of the user's own tasks can be run before or after a run, and which files it includes. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_PLAY_KEYS = ("hosts", "import_playbook", "ansible.builtin.import_playbook")
_PREFIXES = ("", "ansible.builtin.", "ansible.legacy.")
_ACTION_KEYS = ("action", "local_action")
# These would also end the tasks that follow in the same play or role: the checks of the run, or its report.
_ENDS = ("end_play", "end_batch", "end_host", "end_role")
_BLOCKS = ("block", "rescue", "always")
IMPORT, INCLUDE = "import_tasks", "include_tasks"
_INCLUDES = (IMPORT, INCLUDE, "import_role", "include_role")


def hook_problem(content: Any) -> str:
    """Why the content of a task file cannot be run, as a phrase; empty if it can. An empty file has no tasks."""
    if content is None:
        return ""
    if not isinstance(content, list) or not all(isinstance(task, Mapping) for task in content):
        return "is not a list of tasks"
    if any(key in task for task in content for key in _PLAY_KEYS):
        return "contains plays, but a list of tasks was expected"
    for task in _tasks_in(content):
        words = str(_arguments(task, "meta") or "").split()
        if words and words[0] in _ENDS:
            return f"has the task meta: {words[0]}, which would end the run itself; use when instead"
    return ""


def plain_tasks(content: Any) -> list[Mapping[str, Any]]:
    """The tasks of a task file and of its blocks, without those that include or import others."""
    return [
        task
        for task in _tasks_in(content or [])
        if "block" not in task and all(_arguments(task, action) is None for action in _INCLUDES)
    ]


def collections_of(content: Any) -> list[str]:
    """The collections that the tasks and the blocks of a task file name for their short module names."""
    given = [task.get("collections") for task in _tasks_in(content or [])]
    return [str(name) for names in given if isinstance(names, list) for name in names]


def included_files(content: Any) -> list[tuple[str, str]]:
    """The task files that a task file imports or includes: ``import_tasks`` or ``include_tasks``, and the name.

    A name that is a template is left out, because it is not known before the task runs.
    """
    found = []
    for task in _tasks_in(content if isinstance(content, list) else []):
        for action in (IMPORT, INCLUDE):
            given = _arguments(task, action)
            if given is None:
                continue
            texts = [given.strip().removeprefix("file=")] if isinstance(given, str) else []
            named = [part.get("file") for part in (given, task.get("args")) if isinstance(part, Mapping)]
            name = next(filter(None, [*texts, *named]), "")
            if isinstance(name, str) and name and "{{" not in name and "{%" not in name:
                found.append((action, name))
    return found


def _arguments(task: Mapping[str, Any], action: str) -> Any:
    """The arguments of a task's action, also in the form ``action: name arguments``; None if it has another action."""
    for prefix in _PREFIXES:
        if prefix + action in task:
            return task[prefix + action] or ""
    for key in _ACTION_KEYS:
        given = task.get(key)
        if isinstance(given, Mapping) and given.get("module") in [prefix + action for prefix in _PREFIXES]:
            return given
        name, _space, rest = given.strip().partition(" ") if isinstance(given, str) else ("", "", "")
        if name in [prefix + action for prefix in _PREFIXES]:
            return rest
    return None


def _tasks_in(tasks: list[Any]) -> Iterator[Mapping[str, Any]]:
    """The tasks, and those of their blocks."""
    for task in tasks:
        if isinstance(task, Mapping):
            yield task
            for part in _BLOCKS:
                if isinstance(task.get(part), list):
                    yield from _tasks_in(task[part])
