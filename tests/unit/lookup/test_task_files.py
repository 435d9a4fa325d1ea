# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Task files of the user, with the files that they include."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible.parsing.dataloader import DataLoader

from ansible_collections.fleetops.agents.plugins.plugin_utils._lookups.task_files import problem_of_task_file

END = "- meta: end_play"


def problem(folder: Path, role: str = "fleet_report", **files: str) -> str:
    """Of the file ``first``, where ``sub__x`` is the file x.yml in the folder sub."""
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.yml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text + "\n")
    loader = DataLoader()
    (folder / "playbooks").mkdir(exist_ok=True)
    loader.set_basedir(str(folder / "playbooks"))
    return problem_of_task_file(str(folder / "first.yml"), role, loader)


@pytest.mark.parametrize("action", ["include_tasks", "import_tasks"])
def test_a_file_that_ends_the_run_is_found_through_other_files(tmp_path: Path, action: str) -> None:
    found = problem(
        tmp_path,
        first=f"- {action}: sub/one.yml",
        sub__one=f"- block: [{{{action}: two.yml}}]",
        sub__two=f"- {action}: other.yml",
        other=END,
    )
    assert found.startswith(f"includes {tmp_path}/other.yml, which has the task meta: end_play")


def test_files_that_include_each_other_and_names_that_are_not_known_are_no_problem(tmp_path: Path) -> None:
    files = {"first": "- include_tasks: one.yml\n  when: again", "one": "- import_tasks: first.yml"}
    assert problem(tmp_path, **files) == ""
    # A task may write the file before it is included, and a template may name any file.
    assert problem(tmp_path, first="- include_tasks: later.yml\n- include_tasks: '{{ x }}.yml'") == ""
    assert problem(tmp_path, first=f"- include_tasks: {tmp_path}/one.yml", one="- debug:") == ""


def test_what_cannot_be_read_or_holds_no_tasks_is_named_with_its_path(tmp_path: Path) -> None:
    assert problem(tmp_path, first="- include_tasks: one.yml", one="a: b") == (
        f"includes {tmp_path}/one.yml, which is not a list of tasks"
    )
    broken = problem(tmp_path, first="- include_tasks: one.yml", one="- {a: [}")
    assert broken.startswith(f"includes {tmp_path}/one.yml, which cannot be read: ")
    # Ansible looks for the file beside the playbook first.
    found = problem(tmp_path, first="- include_tasks: one.yml", one="- debug:", playbooks__one="- hosts: all")
    assert found.startswith(f"includes {tmp_path}/playbooks/one.yml, which contains plays")


def test_a_name_for_which_ansible_takes_a_file_of_the_role_needs_the_whole_path(tmp_path: Path) -> None:
    files = {"first": "- include_tasks: after.yml", "after": "- debug:"}
    found = problem(tmp_path, **files)
    assert found.startswith("includes after.yml, for which Ansible takes ")
    assert found.endswith("/roles/fleet_report/tasks/after.yml; give the whole path of your file")
    assert problem(tmp_path, role="fleet_preflight", **files) == ""
    assert problem(tmp_path, first="- import_tasks: after.yml", after="- debug:") == ""
    assert problem(tmp_path, first=f"- include_tasks: {tmp_path}/after.yml", after="- debug:") == ""
