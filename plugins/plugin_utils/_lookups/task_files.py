# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Task files of the user, with the files that they include, read before a run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.playbook.task import Task

from ansible_collections.fleetops.agents.plugins.module_utils._rules.hooks import (
    INCLUDE,
    collections_of,
    hook_problem,
    included_files,
    plain_tasks,
)

_ROLES = Path(__file__).resolve().parents[3] / "roles"
# Ansible looks for a relative name in these folders, as it does for a task of a role.
_TASKS = "tasks"


def problem_of_task_file(path: str, role: str, loader: Any) -> str:
    """Why a task file cannot be run, as a phrase; empty if it can.

    ``role``: the role of this collection that includes it. ``loader``: Ansible's. The files that it includes or imports
    by name are read too, and those that they include. One that does not exist (yet) fails only when it is included.
    """
    # A relative path is relative to the folder in which ansible-playbook was started.
    first = Path(os.path.realpath(path))
    if not _is_file(first):
        return "is not a file on the controller"
    waiting: list[tuple[Path, tuple[Path, ...]]] = [(first, (first.parent,))]
    seen = {first}
    while waiting:
        file, folders = waiting.pop()
        prefix = "" if file == first else f"includes {file}, which "
        try:
            # Without the cache of the run, in which the texts would not be templates.
            content = loader.load_from_file(str(file), cache="none")
        except AnsibleError as failure:
            return f"{prefix}cannot be read: {' '.join(str(failure).split()).rstrip('.')}"
        if why := hook_problem(content) or _problem_of_tasks(content, loader):
            return prefix + why
        for action, name in included_files(content):
            found = _found(action, name, folders, _ROLES / role, loader)
            if found is None or found.resolve() in seen:
                continue
            if found.resolve().is_relative_to(_ROLES):
                return f"{prefix}includes {name}, for which Ansible takes {found}; give the whole path of your file"
            seen.add(found.resolve())
            waiting.append((found, (found.parent, *folders)))
    return ""


def _problem_of_tasks(content: Any, loader: Any) -> str:
    """Why Ansible cannot load one of the tasks, as a phrase; empty if it can. It would end the run without a report.

    Short names of modules are looked up in all collections that the file names, because blocks pass theirs on.
    """
    collections = [*collections_of(content), "fleetops.agents"]
    for task in plain_tasks(content):
        try:
            Task.load({**task, "collections": collections}, loader=loader)
        except AnsibleError as failure:
            return f"cannot be run: {' '.join(str(failure).split()).rstrip('.')}"
    return ""


def _found(action: str, name: str, folders: tuple[Path, ...], role: Path, loader: Any) -> Path | None:
    """The file that Ansible takes for a name, or None. ``folders``: of the files that include it, the nearest first."""
    own = [str(folder) for folder in folders]
    # Ansible itself looks into the role first for include_tasks, and last for import_tasks.
    for folder in [str(role), *own] if action == INCLUDE else [*own, str(role)]:
        candidate = Path(loader.path_dwim_relative(folder, _TASKS, name, is_role=action == INCLUDE))
        if _is_file(candidate):
            return candidate
    return None


def _is_file(path: Path) -> bool:
    # Path.is_file raises an error for a file that cannot be looked for.
    return os.path.isfile(path)  # noqa: PTH113
