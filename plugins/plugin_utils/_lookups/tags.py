# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the tags on the command line leave out all tasks of a playbook of this collection."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.playbook.task import Task

_COLLECTION = "fleetops.agents."
_FOLDERS = ("playbooks", "extensions")


def refusal_by_tags(arguments: Mapping[str, Any], root: Path) -> str:
    """Why the run would do nothing, as a sentence; empty if tasks are left.

    ``arguments``: the command line of Ansible, with ``args`` (the playbooks), ``tags`` and ``skip_tags``. ``root``: the
    folder of the collection. The playbooks of the collection have no tags, so either all of their tasks run or none. A
    playbook of the user's own is never refused: it may import them with tags, and have other tasks.
    """
    playbooks = arguments.get("args") or ()
    tags, skipped = list(arguments.get("tags") or ()), list(arguments.get("skip_tags") or ())
    if not playbooks or isinstance(playbooks, str) or not all(_is_of_collection(str(one), root) for one in playbooks):
        return ""
    if Task().evaluate_tags(tags, skipped, {}):
        return ""
    given = [f"--tags {','.join(tags)}"] if tags and tags != ["all"] else []
    given += [f"--skip-tags {','.join(skipped)}"] if skipped else []
    return (
        f"No task is left with {' and '.join(given)}: the tasks of this playbook have no tags. Start it without them. "
        "Nothing was done."
    )


def _is_of_collection(playbook: str, root: Path) -> bool:
    if playbook.startswith(_COLLECTION):
        return True
    path = Path(playbook).resolve()
    # This includes another checkout of the collection, such as a project of AWX.
    return any(path.is_relative_to(folder.resolve()) for folder in _folders(root) + _folders(path.parent.parent))


def _folders(root: Path) -> list[Path]:
    return [root / name for name in _FOLDERS] if (root / "plugins" / "lookup" / "play_hosts.py").is_file() else []
