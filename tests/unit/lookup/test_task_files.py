# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Task files of the user and the files that they include."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from ansible.parsing.dataloader import DataLoader

from ansible_collections.fleetops.agents.plugins.plugin_utils._lookups.task_files import problem_of_task_file
from tests.conftest import CHECKOUT

END = "- meta: end_play"


def problem(folder: Path, **files: str) -> str:
    """The problem of the file ``first``; ``sub__x`` is the file x.yml in the folder sub."""
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.yml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text + "\n")
    loader = DataLoader()
    (folder / "playbooks").mkdir(exist_ok=True)
    loader.set_basedir(str(folder / "playbooks"))
    return problem_of_task_file(str(folder / "first.yml"), loader)


@pytest.mark.parametrize("action", ["include_tasks", "import_tasks"])
def test_a_task_file_that_ends_the_run_is_found_through_other_files(tmp_path: Path, action: str) -> None:
    found = problem(
        tmp_path,
        first=f"- {action}: sub/one.yml",
        sub__one=f"- block: [{{{action}: two.yml}}]",
        sub__two=f"- {action}: other.yml",
        other=END,
    )
    assert found.startswith(f"includes {tmp_path}/other.yml, which has the task meta: end_play")


def test_files_that_include_each_other_and_unknown_names_are_no_problem(tmp_path: Path) -> None:
    files = {"first": "- include_tasks: one.yml\n  when: again", "one": "- import_tasks: first.yml"}
    assert problem(tmp_path, **files) == ""
    # A task may create the file before it is included, and a template may name any file.
    assert problem(tmp_path, first="- include_tasks: later.yml\n- include_tasks: '{{ x }}.yml'") == ""
    assert problem(tmp_path, first=f"- include_tasks: {tmp_path}/one.yml", one="- debug:") == ""


# Each way to write a task that Ansible accepts, and tasks that it does not load.
GOOD = """
- {name: Of this collection, instance_health_info: {instance_id: x}}
- {name: Free form, ansible.builtin.command: echo hi, args: {chdir: /tmp}, changed_when: false, register: found}
- action: debug msg=hi
- local_action: {module: ansible.builtin.debug, msg: hi}
- ansible.builtin.set_fact: {cacheable: false, a: "{{ b }}"}
  loop: "{{ c }}"
  loop_control: {label: x}
- meta: noop
- {block: [{rollout_info: }], collections: [fleetops.agents], rescue: [{fail: }], always: [{pause: }], when: x}
- {include_role: {name: no_such_role, apply: {tags: x}}, vars: {a: b}}
- {import_role: {name: "{{ x }}"}}
- {include_tasks: {file: "{{ x }}", apply: {run_once: true}}}
- {action: "{{ which }}", args: {a: b}}
"""
BAD = {
    "- {name: x, no.such.module: }": "couldn't resolve module/action 'no.such.module'",
    "- block: [{debug: {msg: hi}, untill: x}]": "'untill' is not a valid attribute for a Task",
    "- {debug: , rescue: [{fail: }]}": "'rescue' is not a valid attribute for a Task",
    "- {name: x}": "no module/action detected in task",
}
# A role with its own module, a handler and another role that it depends on, and roles that Ansible does not load.
ROLES = {
    "good/tasks/main.yml": "- {own_module: , notify: x}\n- include_tasks: more.yml\n- meta: end_role",
    "good/tasks/more.yml": "- include_role: {name: good, tasks_from: main.yml}\n- module_of_other: {}",
    "good/handlers/main.yml": "- {name: x, listen: y, debug: }",
    "good/library/own_module.py": "",
    "good/meta/main.yml": "dependencies: [other, {role: good}]",
    "other/library/module_of_other.py": "",
    "a/tasks/main.yaml": "- include_tasks: b.yml",
    "a/tasks/b.yml": "- import_role: name=b tasks_from=c",
    "b/tasks/c.yml": "- no.such.module:",
    "handlers/handlers/main.yml": "- {name: x, no.such.module: }",
    "depends/meta/main.yml": "dependencies: [{name: handlers}]",
}
GOOD_ROLES = """
- include_role: {name: good}
- {include_role: {name: fleetops.agents.instance_recover}, when: x}
- {include_role: {name: good, tasks_from: "{{ x }}"}}
- {include_role: {name: "{{ x }}"}, loop: [a]}
"""
BAD_ROLES = {
    "- include_role: {name: a}": "b/tasks/c.yml, which cannot be run: couldn't resolve module/action 'no.such.module'",
    "- block: [{import_role: {name: depends}}]": "handlers/handlers/main.yml, which cannot be run: couldn't resolve",
    "- {include_role: {role: good, tasks_from: none}}": "which cannot be run: the role good has no file tasks/none",
    "- {include_role: {name: good, task_from: more}}": "Invalid options for include_role: task_from",
    "- {include_tasks: {file: x.yml}, untill: x}": "'untill' is not a valid attribute for a TaskInclude",
}
# As in a run, in which Ansible has set up its module paths.
PROGRAM = """
import json, sys
from ansible.parsing.dataloader import DataLoader
from ansible.plugins import loader
loader.init_plugin_loader()
from ansible_collections.fleetops.agents.plugins.plugin_utils._lookups.task_files import problem_of_task_file
data = DataLoader()
data.set_basedir(sys.argv[1])
print(json.dumps([f"which {problem_of_task_file(path, data)}" for path in sys.argv[2:]]))
"""


def test_a_task_that_ansible_cannot_load_is_found_before_it_ends_the_run(tmp_path: Path) -> None:
    for name, text in ROLES.items():
        path = tmp_path / "roles" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    bad = {**BAD, **BAD_ROLES}
    files = [tmp_path / f"{number}.yml" for number in range(len(bad) + 2)]
    for file, text in zip(files, [GOOD, GOOD_ROLES, *bad], strict=True):
        file.write_text(text)
    command = [sys.executable, "-c", PROGRAM, *map(str, [tmp_path, *files])]
    told = json.loads(subprocess.run(command, capture_output=True, check=True, text=True, cwd=CHECKOUT).stdout)
    assert told[:2] == ["which ", "which "]
    for found, message in zip(told[2:], bad.values(), strict=True):
        assert "which cannot be run: " in found and message in found, found


def test_a_file_that_cannot_be_read_or_has_no_tasks_is_named_with_its_path(tmp_path: Path) -> None:
    assert problem(tmp_path, first="- include_tasks: one.yml", one="a: b") == (
        f"includes {tmp_path}/one.yml, which is not a list of tasks"
    )
    broken = problem(tmp_path, first="- include_tasks: one.yml", one="- {a: [}")
    assert broken.startswith(f"includes {tmp_path}/one.yml, which cannot be read: ")
    # Ansible first looks for the file beside the playbook.
    found = problem(tmp_path, first="- include_tasks: one.yml", one="- debug:", playbooks__one="- hosts: all")
    assert found.startswith(f"includes {tmp_path}/playbooks/one.yml, which contains plays")


def test_a_name_that_ansible_would_find_in_the_role_needs_the_full_path(tmp_path: Path) -> None:
    found = problem(tmp_path, first="- include_tasks: before.yml", before="- debug:")
    assert found.startswith("includes before.yml, for which Ansible takes ")
    assert found.endswith("/roles/fleet_preflight/tasks/before.yml; give the whole path of your file")
    assert problem(tmp_path, first="- import_tasks: before.yml", before="- debug:") == ""
    assert problem(tmp_path, first=f"- include_tasks: {tmp_path}/before.yml", before="- debug:") == ""
