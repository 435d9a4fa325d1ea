# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The documented way to give the key keeps it out of every output (reports/2026-11 F8)."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT, PlaybookRun
from tests.simulator.running import Simulator

pytestmark = pytest.mark.playbook

PAGE = (CHECKOUT / "docs" / "docsite" / "rst" / "playbooks.rst").read_text()
TASKS = """
  connection: local
  tasks:
    - name: Ask the agent
      fleetops.agents.instance_health_info:
        instance_id: "{{ fleetops_instance_id }}"
"""


def plays() -> list[str]:
    """The page's plays that give the key: the wrong way and the right one."""
    section = PAGE.partition("\nThe key\n")[2].partition("\nrolling_redeploy\n")[0]
    return [textwrap.dedent(block) for block in re.findall(r"code-block:: yaml\n\n((?:   .*\n|\n)+)", section)]


def test_a_key_from_a_vault_given_the_documented_way_appears_in_no_output(
    simulator: Simulator, run_playbook: Callable[..., PlaybookRun], tmp_path: Path
) -> None:
    wrong, right = plays()
    assert "environment:" in wrong and "# Do not do this" in wrong
    play = tmp_path / "play.yml"
    play.write_text(right.rstrip() + TASKS)
    # The inventory read the fleet with the key of the environment; the tasks only have the key of the vault.
    (tmp_path / "vault.yml").write_text(f"vault_fleetops_api_key: {simulator.admin_key}\n")
    static = tmp_path / "hosts.yml"
    instance = simulator.instance("agent-001")["id"]
    static.write_text(f"fleetops_instances: {{hosts: {{agent-001: {{fleetops_instance_id: {instance}}}}}}}\n")
    run = run_playbook(
        simulator, play, "-vvvv", "-e", f"@{tmp_path / 'vault.yml'}", inventory=static, env={"FLEETOPS_API_KEY": ""}
    )
    assert run.rc == 0, run.output
    assert simulator.journal() != []
    run_logs = "".join(path.read_text() for path in run.run_logs.glob("*.jsonl"))
    assert "runner_on_ok" in run_logs
    assert simulator.admin_key not in run.output + run_logs


def test_the_readme_warns_against_a_key_in_the_environment_of_a_play() -> None:
    readme = (CHECKOUT / "README.md").read_text()
    assert "Never set the key with `environment:` in a play" in " ".join(readme.split())
    assert "-i inventories/production.example" not in readme.partition("### The other playbooks")[0]


AGAIN = """
- name: Try again after the key was refused
  hosts: fleetops_instances
  gather_facts: false
  connection: local
  tasks:
    - name: Try and try again
      block:
        - name: Ask several times
          fleetops.agents.instance_health_info: &ask
            instance_id: "{{ fleetops_instance_id }}"
          register: asked
          until: asked is success
          retries: 2
          delay: 0
      rescue:
        - name: Ask once more
          fleetops.agents.instance_health_info: *ask
"""


def test_after_a_refused_key_further_tries_of_that_host_fail_and_other_hosts_are_skipped(
    simulator: Simulator, run_playbook: Callable[..., PlaybookRun], tmp_path: Path
) -> None:
    (tmp_path / "again.yml").write_text(AGAIN)
    simulator.fault(operation="get_deep_health", status=401)
    run = run_playbook(simulator, tmp_path / "again.yml", "--limit", "agent-00[12]*")
    assert run.rc == 2, run.output
    ends = sorted((row["failed"], row["rescued"]) for row in run.recap.values())
    assert ends == [(0, 0), (1, 1)], run.output
    asked = [row for row in simulator.journal() if row["operation_id"] == "get_deep_health"]
    assert len(asked) <= 2, "a refused key is not used again"
