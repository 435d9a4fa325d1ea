# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which task files of the user can run before and after a run."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from ansible_collections.fleetops.agents.plugins.module_utils._rules.hooks import hook_problem, included_files


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", ""),
        ("[]", ""),
        ("- debug:\n- {block: [{meta: flush_handlers}], rescue: [{fail: {msg: no}}]}", ""),
        ("debug: {}", "is not a list of tasks"),
        ("words", "is not a list of tasks"),
        ("[a, b]", "is not a list of tasks"),
        ("- {hosts: all, tasks: []}", "contains plays"),
        ("- ansible.builtin.import_playbook: other.yml", "contains plays"),
        ("- meta: end_play", "has the task meta: end_play, which would end the run itself"),
        ("- {when: x, ansible.builtin.meta: end_host}", "meta: end_host"),
        ("- meta: end_role", "meta: end_role"),
        ("- action: ansible.builtin.meta end_play", "meta: end_play"),
        ("- {local_action: meta   end_host}", "meta: end_host"),
        ("- action: {module: debug}", ""),
        ("- meta:", ""),
        ("- block:\n  - block: []\n    always: [{meta: end_batch}]", "meta: end_batch"),
    ],
)
def test_a_task_file_that_would_not_run_or_would_end_the_run_is_refused(text: str, problem: str) -> None:
    content: Any = yaml.safe_load(text)
    found = hook_problem(content)
    assert problem in found and bool(found) is bool(problem)


@pytest.mark.parametrize(
    ("text", "files"),
    [
        ("", []),
        ("words", []),
        ("- include_tasks: one.yml\n- ansible.builtin.import_tasks: two.yml", ["include one.yml", "import two.yml"]),
        ("- ansible.legacy.include_tasks: {file: one.yml, apply: {}}", ["include one.yml"]),
        ("- {include_tasks: , args: {file: one.yml}}", ["include one.yml"]),
        ("- include_tasks: file=one.yml", ["include one.yml"]),
        ("- action: include_tasks one.yml", ["include one.yml"]),
        ("- local_action: {module: import_tasks, file: one.yml}", ["import one.yml"]),
        ("- block:\n  - rescue: [{include_tasks: a b.yml}]\n    block: []", ["include a b.yml"]),
        ("- include_tasks: '{{ x }}.yml'\n- include_tasks: '{% if x %}a{% endif %}'", []),
        ("- include_tasks:\n- include_tasks: {}\n- include_tasks: 7\n- include_tasks: {file: [a]}", []),
        ("- include_role: {name: one}\n- include_vars: one.yml", []),
    ],
)
def test_the_files_that_a_task_file_includes_are_known_before_it_runs(text: str, files: list[str]) -> None:
    found = included_files(yaml.safe_load(text))
    assert [f"{action.removesuffix('_tasks')} {name}" for action, name in found] == files
