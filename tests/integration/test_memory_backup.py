# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""playbooks/memory_backup.yml by the real ansible-playbook: save, verify, restore; an incomplete list is no backup."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import PlaybookRun
from tests.simulator.running import running_simulator

pytestmark = pytest.mark.playbook

PLAYBOOK = "playbooks/memory_backup.yml"
LOOPING = """
- hosts: fleetops_instances
  gather_facts: false
  tasks:
    - ansible.builtin.include_role:
        name: fleetops.agents.memory_backup
        tasks_from: restore
      vars:
        fleetops_memory_dir: "{{ item }}"
      loop: "{{ folders }}"
"""


def test_saved_memories_can_be_verified_and_restored(tmp_path: Path, run_playbook: Callable[..., PlaybookRun]) -> None:
    folder = tmp_path / "backup"
    with running_simulator(instances=2, speed=40.0) as sim:

        def play(action: str, *arguments: str) -> PlaybookRun:
            settings = {"fleetops_memory_dir": str(folder), "fleetops_memory_action": action}
            return run_playbook(sim, PLAYBOOK, *arguments, e=settings)

        one = f"/v1/instances/{sim.instance('agent-002')['id']}/memory"

        def contents() -> set[str]:
            return {row["content"] for row in sim.call("GET", one)[1]["memories"]}

        had = contents()
        assert had
        saved = play("save")
        assert saved.rc == 0 and "WARNING" not in saved.output, saved.output
        files = sorted(folder.iterdir())
        assert [file.name.partition(".")[0] for file in files] == ["agent-001", "agent-002"]
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
        assert {row["content"] for row in json.loads(files[1].read_text())["memories"]} == had
        again = play("save")
        assert again.total("changed") == 0
        counts = [len(json.loads(file.read_text())["memories"]) for file in files]
        assert f"Instances: 2; memories: {sum(counts)}; files changed: 0 (in {folder})." in again.output

        sim.call("DELETE", one, {})
        lost = play("verify")
        assert lost.rc == 2 and "agent-002" in lost.output and "fleetops_memory_action=restore" in lost.output
        assert f"Instances: 2; saved memories: {sum(counts)}; missing: {counts[1]} (instances: 1)." in lost.output
        sim.clear_journal()
        foretold = play("restore", "--check")
        assert f"Missing memories that would be stored again: {counts[1]}." in foretold.output
        assert foretold.total("changed") == 1 and sim.writes() == []
        # In a play of the user, which restores from several folders in a loop.
        looping = tmp_path / "restore.yml"
        looping.write_text(LOOPING)
        restored = run_playbook(sim, looping, e={"folders": [str(folder)]})
        assert restored.rc == 0 and f"Missing memories stored again: {counts[1]}." in restored.output
        assert contents() == had
        assert play("restore").total("changed") == 0
        assert play("verify").rc == 0


def test_a_list_that_the_api_truncates_is_not_a_backup(
    tmp_path: Path, run_playbook: Callable[..., PlaybookRun]
) -> None:
    folder = tmp_path / "backup"
    with running_simulator(instances=2, speed=40.0) as sim:
        one = f"/v1/instances/{sim.instance('agent-001')['id']}/memory"
        for number in range(205):
            sim.call("POST", one, {"content": f"fact {number}", "conversation_id": f"conv-{number % 2}"})
        settings = {"fleetops_memory_dir": str(folder), "fleetops_batch_max": 1}
        refused = run_playbook(sim, PLAYBOOK, e=settings)
        assert refused.rc == 2 and "this would not be a backup" in refused.output
        # The others are saved, even if all instances that are processed at once have failed.
        (other,) = folder.iterdir()
        assert other.name.startswith("agent-002")
        settings["fleetops_memory_conversation_id"] = "conv-1"
        slices = run_playbook(sim, PLAYBOOK, "--limit", "agent-001*", e=settings)
        assert slices.rc == 0, slices.output
        (file,) = {*folder.iterdir()} - {other}
        assert file.name.endswith("-conv-1.json")
        # A name from another inventory does not lead out of the folder.
        named = tmp_path / "named.yml"
        host = {"../eu/agent": {"fleetops_instance_id": sim.instance("agent-002")["id"]}}
        named.write_text(json.dumps({"fleetops_instances": {"hosts": host}}))
        del settings["fleetops_memory_conversation_id"]
        slashes = run_playbook(sim, PLAYBOOK, "-i", str(named), "--limit", "../eu/agent", e=settings)
        assert slashes.rc == 0, slashes.output
        assert (folder / ".._eu_agent.json").is_file() and not (tmp_path / "eu").exists()
