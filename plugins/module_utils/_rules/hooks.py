# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Whether a file with the user's tasks can be run before or after a run, and which files it includes. Pure."""

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
FILES, ROLES = (IMPORT, INCLUDE), ("import_role", "include_role")


def hook_problem(content: Any) -> str:
    """Why the content of a task file cannot be run, as a phrase; empty if it can. An empty file has no tasks."""
    if why := tasks_problem(content):
        return why
    for task in _tasks_in(content or []):
        words = str(_arguments(task, "meta") or "").split()
        if words and words[0] in _ENDS:
            return f"has the task meta: {words[0]}, which would end the run itself; use when instead"
    return ""


def tasks_problem(content: Any) -> str:
    """Why the content of a task file is not a list of tasks, as a phrase; empty if it is, or if there is none."""
    if content is None:
        return ""
    if not isinstance(content, list) or not all(isinstance(task, Mapping) for task in content):
        return "is not a list of tasks"
    if any(key in task for task in content for key in _PLAY_KEYS):
        return "contains plays, but a list of tasks was expected"
    return ""


def single_tasks(content: Any) -> list[Mapping[str, Any]]:
    """The tasks of a task file and of its blocks, without the blocks themselves."""
    return [task for task in _tasks_in(content or []) if "block" not in task]


def collections_of(content: Any) -> list[str]:
    """The collections that the tasks and the blocks of a task file name for their short module names."""
    given = [task.get("collections") for task in _tasks_in(content or [])]
    return [str(name) for names in given if isinstance(names, list) for name in names]


def has_action(task: Mapping[str, Any], actions: tuple[str, ...]) -> bool:
    """Whether the task's action is one of these, however it is written."""
    return any(_arguments(task, action) is not None for action in actions)


def included_files(content: Any) -> list[tuple[str, str]]:
    """The task files that a task file imports or includes: ``import_tasks`` or ``include_tasks``, and the name.

    A name that is a template is left out, because it is not known before the task runs.
    """
    found = []
    for action, given in _includes(content, FILES):
        name = given.get("file") or str(given.get("_raw_params") or "").strip()
        if _is_constant(name):
            found.append((action, name))
    return found


def included_roles(content: Any) -> list[tuple[str, dict[str, str]]]:
    """The roles that a task file imports or includes: the name, and the names of their files of tasks and handlers.

    Roles of which a name is a template are left out.
    """
    found = []
    for _action, given in _includes(content, ROLES):
        name = given.get("name") or given.get("role")
        files = {kind: given.get(f"{kind}_from") or "main" for kind in ("tasks", "handlers")}
        if all(_is_constant(text) for text in (name, *files.values())):
            found.append((str(name), files))
    return found


def _includes(content: Any, actions: tuple[str, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The tasks with one of these actions: the action and its arguments, with those of the keyword ``args``."""
    for task in _tasks_in(content if isinstance(content, list) else []):
        for action in actions:
            given = _arguments(task, action)
            if given is None:
                continue
            texts = dict(word.split("=", 1) for word in given.split() if "=" in word) if isinstance(given, str) else {}
            raw = {"_raw_params": given} if isinstance(given, str) and not texts else {}
            mappings = [part for part in (task.get("args"), given) if isinstance(part, Mapping)]
            yield action, {key: value for part in (raw, texts, *mappings) for key, value in part.items()}


def _is_constant(name: Any) -> bool:
    return isinstance(name, str) and bool(name) and "{{" not in name and "{%" not in name


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
