# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Task files of the user, with the files and roles that they include, read before a run."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.playbook.handler import Handler
from ansible.playbook.role.include import RoleInclude
from ansible.playbook.role_include import IncludeRole
from ansible.playbook.task import Task
from ansible.playbook.task_include import TaskInclude
from ansible.plugins.loader import add_all_plugin_dirs

from ansible_collections.fleetops.agents.plugins.module_utils._rules.hooks import (
    FILES,
    INCLUDE,
    ROLES,
    collections_of,
    has_action,
    hook_problem,
    included_files,
    included_roles,
    single_tasks,
    tasks_problem,
)

_ROLES = Path(__file__).resolve().parents[3] / "roles"
# The role that includes the user's task file.
_ROLE = _ROLES / "fleet_preflight"
# Ansible looks for a relative name in these folders, as it does for a task of a role.
_TASKS = "tasks"
_HANDLERS = "handlers"
_MAIN = {_TASKS: "main", _HANDLERS: "main"}


@dataclass(frozen=True)
class _File:
    """A task file, and where Ansible looks for what it names.

    ``folders``: of the files that include it, the nearest first. ``role``: the folder of the role that it belongs to.
    ``collections``: those of the role, for short names.
    """

    path: Path
    folders: tuple[Path, ...]
    role: Path
    collections: tuple[str, ...]
    kind: str = _TASKS


def problem_of_task_file(path: str, loader: Any) -> str:
    """Why a task file cannot be run, as a phrase; empty if it can.

    ``loader``: Ansible's. The files and roles that it includes or imports by name are read too, and those that they
    include. One that does not exist (yet) fails only when it is included.
    """
    # A relative path is relative to the folder in which ansible-playbook was started.
    first = Path(os.path.realpath(path))
    if not _is_file(first):
        return "is not a file on the controller"
    waiting = [_File(first, (first.parent,), _ROLE, ("fleetops.agents",))]
    seen = {first}
    read: list[tuple[str, _File, Any]] = []
    while waiting:
        file = waiting.pop()
        prefix = "" if file.path == first else f"includes {file.path}, which "
        of_user = file.role.parent == _ROLES
        try:
            content = _content(file.path, loader)
        except AnsibleError as failure:
            return f"{prefix}cannot be read: {_one_line(failure)}"
        if why := hook_problem(content) if of_user else tasks_problem(content):
            return prefix + why
        read.append((prefix, file, content))
        try:
            named = [*_files_in(file, content, loader), *_files_of_roles(file, content, loader)]
        except AnsibleError as failure:
            return f"{prefix}cannot be run: {_one_line(failure)}"
        for name, other in named:
            if other.path.resolve() in seen:
                continue
            if other.path.resolve().is_relative_to(_ROLES):
                return (
                    f"{prefix}includes {name}, for which Ansible takes {other.path}; give the whole path of your file"
                )
            seen.add(other.path.resolve())
            waiting.append(other)
    # The modules that the roles bring along are known only now.
    return next(
        (prefix + why for prefix, file, content in read if (why := _problem_of_tasks(file, content, loader))), ""
    )


def _problem_of_tasks(file: _File, content: Any, loader: Any) -> str:
    """Why Ansible cannot load one of the tasks, as a phrase; empty if it can. It would end the run without a report.

    Short names of modules are looked up in all collections that the file names, because blocks pass theirs on.
    """
    collections = [*collections_of(content), *file.collections]
    for task in single_tasks(content):
        kind = Handler if file.kind == _HANDLERS else Task
        kind = TaskInclude if has_action(task, FILES) else IncludeRole if has_action(task, ROLES) else kind
        try:
            kind.load({**task, "collections": collections}, loader=loader)
        except AnsibleError as failure:
            return f"cannot be run: {_one_line(failure)}"
    return ""


def _files_in(file: _File, content: Any, loader: Any) -> Iterator[tuple[str, _File]]:
    """The files that a task file includes, with their names."""
    for action, name in included_files(content):
        if (found := _found(action, name, file, loader)) is not None:
            yield name, replace(file, path=found, folders=(found.parent, *file.folders))


def _files_of_roles(file: _File, content: Any, loader: Any) -> Iterator[tuple[str, _File]]:
    """The files of the roles that a task file includes, and of those that they depend on, with the names of the roles.

    Ansible itself finds the roles. Raises AnsibleError for a file that a role lacks.
    """
    collections = [*collections_of(content), *file.collections]
    waiting: list[tuple[str, dict[str, str], list[str], str | None]] = [
        (name, files, collections, None) for name, files in included_roles(content)
    ]
    seen: set[Path] = set()
    while waiting:
        name, files, collections, beside = waiting.pop()
        try:
            role = RoleInclude.load(
                name, play=None, current_role_path=beside, loader=loader, collection_list=collections
            )
        except AnsibleError:
            continue
        path = Path(role.get_role_path())
        # The roles of this collection are known to be good.
        if path.resolve().parent == _ROLES:
            continue
        own = role.get_name().removesuffix(role.get_name(include_role_fqcn=False)).rstrip(".")
        if not own:
            add_all_plugin_dirs(str(path))
        listed, others = _meta(path, loader)
        for_short_names = tuple(filter(None, [own, *listed]))
        for kind, stem in files.items():
            if (found := _file_of_role(path, kind, stem, loader)) is not None:
                yield name, _File(found, (found.parent,), path, for_short_names, kind)
            elif stem != "main":
                raise AnsibleError(f"the role {name} has no file {kind}/{stem}")
        if path not in seen:
            seen.add(path)
            waiting += [(other, _MAIN, [*for_short_names, "ansible.legacy"], str(path.parent)) for other in others]


def _meta(role: Path, loader: Any) -> tuple[list[str], list[str]]:
    """The collections that a role names, and the roles that it depends on."""
    found = _file_of_role(role, "meta", "main", loader)
    meta = _content(found, loader) if found else None
    given = meta if isinstance(meta, Mapping) else {}
    listed, others = (given.get(key) or [] for key in ("collections", "dependencies"))
    named = [
        (entry.get("role") or entry.get("name")) if isinstance(entry, Mapping) else entry
        for entry in (others if isinstance(others, list) else [])
    ]
    return (
        [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else [],
        [name for name in named if isinstance(name, str)],
    )


def _file_of_role(role: Path, kind: str, stem: str, loader: Any) -> Path | None:
    """A file of a role, by the rules of Ansible for its ending."""
    endings = [".yml", ".yaml", ".json"]
    endings = [*endings, ""] if stem == "main" else ["", *endings]
    found = loader.find_vars_files(str(role / kind), stem, endings, allow_dir=False)
    return Path(found[0]) if found else None


def _found(action: str, name: str, file: _File, loader: Any) -> Path | None:
    """The file that Ansible takes for a name in a task file, or None."""
    own = [str(folder) for folder in file.folders]
    # Ansible itself looks into the role first for include_tasks, and last for import_tasks.
    for folder in [str(file.role), *own] if action == INCLUDE else [*own, str(file.role)]:
        candidate = Path(loader.path_dwim_relative(folder, file.kind, name, is_role=action == INCLUDE))
        if _is_file(candidate):
            return candidate
    return None


def _content(path: Path, loader: Any) -> Any:
    # Without the cache of the run, in which the texts would not be templates.
    return loader.load_from_file(str(path), cache="none")


def _one_line(failure: AnsibleError) -> str:
    return " ".join(str(failure).split()).rstrip(".")


def _is_file(path: Path) -> bool:
    # Path.is_file raises an error for a file that cannot be looked for.
    return os.path.isfile(path)  # noqa: PTH113
