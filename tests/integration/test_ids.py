# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ids that users give to modules: only text, unchanged, in both ways of running a module; UUIDs compare by value."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from ansible_collections.fleetops.agents.plugins.module_utils._rules.ids import id_key, require_text, same_id
from tests.conftest import BIN
from tests.second_api.api import SecondApi, second_api

pytestmark = pytest.mark.playbook

UUID = "cd613e30-1f0e-4a56-9a51-0c8d5b1c7f11"
# Each task gives an id or a text that YAML does not parse as text.
REFUSED = {
    "instance_health_info": "{instance_id: 0755}",
    "instance_runtime": "{instance_id: 020222070707, state: redeployed}",
    "instance_action_info": "{instance_id: some-id, action_id: 2026-11-23}",
    "instance_memory_info": "{instance_id: some-id, customer_id: 0012345}",
    "instance_memory": "{instance_id: some-id, content: a fact, conversation_id: yes}",
    "instance_memory, memory": "{instance_id: some-id, memory: {content: a fact, customer_id: 0012345}}",
    "instance_memory, content": "{instance_id: some-id, content: 0755}",
    "instance_memory, kind": "{instance_id: some-id, content: a fact, kind: yes}",
    "instance_memory, list": "{instance_id: some-id, content: [a, fact]}",
    "rollout, reason": "{override_window: true, override_reason: 2026-11-23}",
    "rollout_plan, change": "{instances: {agent-001: some-id}, change: 0012345}",
    "rollout": "{state: cancelled, rollout_id: 0755}",
    "rollout, list": "{state: started, only_if_outdated: [some-id, 0755]}",
    "rollout_info": "{rollout_id: 1.5}",
    "rollout_target": "{rollout_id: some-id, target_id: 0}",
    "rollout_target, instance": "{rollout_id: some-id, instance_id: 2026-11-23}",
    "rollout_plan": "{instances: {agent-001: 0755}}",
    "rollout_report": "{instances: {agent-001: 2026-11-23}}",
    "rollout_gate": "{next_batch: {agent-001: 0755}}",
}


def play(api: SecondApi, tmp_path: Path, tasks: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``tasks`` (YAML) on localhost."""
    playbook = tmp_path / "play.yml"
    playbook.write_text(f"- hosts: localhost\n  gather_facts: false\n  tasks:\n{tasks}")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ANSIBLE_", "FLEETOPS_"))}
    place = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    return subprocess.run(
        [str(BIN / "ansible-playbook"), str(playbook), *arguments],
        cwd=tmp_path,
        env={**kept, **place, **api.environment()},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


# reports/2026-11 B1, B2


@pytest.mark.parametrize("way", ["in this process", "as an ordinary module"])
def test_an_id_that_is_not_text_is_refused_by_every_module(tmp_path: Path, way: str) -> None:
    ordinary = "\n      environment: {FLEETOPS_X: y}" if way == "as an ordinary module" else ""
    tasks = "".join(
        f"    - fleetops.agents.{name.partition(',')[0]}: {options}\n      ignore_errors: true{ordinary}\n"
        for name, options in REFUSED.items()
    )
    with second_api(instances=2) as api:
        done = play(api, tmp_path, tasks)
        failed = [line for line in done.stdout.splitlines() if line.startswith("fatal:")]
        assert len([line for line in failed if " must be text, but it is " in line]) == len(REFUSED), done.stdout
        assert api.calls == []


def test_a_text_reaches_the_server_unchanged(tmp_path: Path) -> None:
    with second_api(instances=1) as api:
        one = api.instances[0]
        one.memories = [{"id": "1", "content": "theirs", "customer_id": "0012345"}]
        tasks = f"""
    - fleetops.agents.instance_memory_info: {{instance_id: "{one.id}", customer_id: "{{{{ who }}}}"}}
    - fleetops.agents.instance_memory_info: {{instance_id: "{one.id}", customer_id: "{{{{ who }}}}"}}
      environment: {{FLEETOPS_X: y}}
    - fleetops.agents.instance_memory: {{instance_id: "{one.id}", content: new, customer_id: "{{{{ who }}}}"}}
"""
        done = play(api, tmp_path, tasks, "-e", "who=0012345")
        assert done.returncode == 0, done.stdout
        assert {call["query"]["customer_id"] for call in api.called("list_memories")} == {"0012345"}
        assert [row["customer_id"] for row in one.memories] == ["0012345", "0012345"]


# reports/2026-11 B7


def test_the_target_of_an_instance_is_found_in_any_spelling_of_the_id(tmp_path: Path) -> None:
    with second_api(instances=2, outcomes={"agent-002": "failed"}, deploy_seconds=0.0) as api:
        row = api.add_rollout(api.instances, "fleet")
        ids = f"rollout_id: {row['id'].upper()}, instance_id: {api.instances[1].id.upper()}, wait: false"
        done = play(api, tmp_path, f"    - fleetops.agents.rollout_target: {{{ids}}}\n")
        assert done.returncode == 0, done.stdout
        assert len(api.called("retry_rollout_target")) == 1


def test_a_plan_refuses_two_hosts_with_the_same_instance(tmp_path: Path) -> None:
    with second_api(instances=1) as api:
        one = api.instances[0].id
        options = f"{{instances: {{mine-0: {one.upper()}, agent-001: {one}}}}}"
        done = play(api, tmp_path, f"    - fleetops.agents.rollout_plan: {options}\n")
        assert done.returncode == 2 and "mine-0 and agent-001 are the same instance" in done.stdout


def test_uuids_compare_by_value_and_other_ids_as_written() -> None:
    assert same_id(UUID, UUID.upper()) and same_id(UUID.replace("-", ""), UUID)
    assert not same_id("agent-A", "agent-a") and not same_id("0755", "755") and not same_id(None, None)
    assert id_key("0755") == "0755"
    assert require_text(UUID.upper(), "instance_id") == UUID.upper()
