# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Operations of real playbook runs with keywords of tasks: check_mode, which overrides --check, and until."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from console.collect.sync import sync_once
from console.record.read.operation import Operation, operation
from console.record.read.operations import OperationFilter, operations
from console.record.read.runs import results
from console.settings.environment import Settings
from tests.conftest import CHECKOUT, PlaybookRun
from tests.console.support.page import opened, words
from tests.simulator.running import Simulator, running_simulator

pytestmark = pytest.mark.playbook

Run = Callable[..., PlaybookRun]
ONLY_PREDICTED = "Only predicted: its task ran in check mode."
DESPITE_CHECK = "It was started with --check, but tasks with check_mode: false changed something."

PLAY = """\
- name: Work on the agents
  hosts: all
  gather_facts: false
  connection: local
  vars:
    first: "{{ inventory_hostname == ansible_play_hosts_all | first }}"
"""
RESTART = """
    - name: Restart the agent
      fleetops.agents.instance_power_cycle:
        instance_id: "{{ fleetops_instance_id }}"
        wait_interval: 0.2
        healthy_reads: 1
"""
REDEPLOY = """
    - name: Redeploy the agent
      fleetops.agents.instance_runtime:
        instance_id: "{{ fleetops_instance_id }}"
        wait_interval: 0.2
"""


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with running_simulator(instances=3, speed=20.0) as found:
        yield found


@pytest.fixture
def recorded(sim: Simulator, run_playbook: Run, tmp_path: Path) -> Callable[..., Operation]:
    """Runs a playbook with this text, syncs its run log into console.db, and returns its operation."""

    def run(text: str, *arguments: str, **variables: Any) -> Operation:
        (tmp_path / "own.yml").write_text(f"---\n{text}", encoding="utf-8")
        sim.clear_journal()
        done = run_playbook(sim, tmp_path / "own.yml", *arguments, e=variables)
        assert done.rc == 0, done.output
        database = tmp_path / "console.db"
        assert sync_once(Settings(database=database, run_log_dir=done.run_logs), connection=None).problems == []
        newest = operations(database, time.time())[0].iloc[0]
        found = operation(database, newest["key"], time.time())
        assert found is not None
        # The list, which reads less, says the same.
        assert {name: newest[name] for name in ("check", "verdict", "sentence", "updated", "not_touched")} == {
            name: found.row[name] for name in ("check", "verdict", "sentence", "updated", "not_touched")
        }
        return found

    return run


def messages(found: Operation) -> list[tuple[str, str]]:
    """The category and the message of each instance, by name."""
    frame = found.instances.sort_values("host")
    return list(zip(frame["category"], frame["message"], strict=True))


def test_a_run_whose_tasks_all_ran_in_check_mode_is_a_check_run(
    sim: Simulator, recorded: Callable[..., Operation], tmp_path: Path
) -> None:
    found = recorded(f"{PLAY}  check_mode: true\n  tasks:{RESTART}{REDEPLOY}")
    assert not sim.writes()
    assert found.row["sentence"] == "Check run, nothing was changed. 3 would be done."
    assert (found.row["check"], found.row["verdict"]) == (True, "check")
    for check, number in ((True, 1), (False, 0)):
        assert operations(tmp_path / "console.db", time.time(), OperationFilter(check=check))[1] == number


@pytest.mark.parametrize("loop", ["", "      loop: [1]\n"], ids=["once", "in a loop"])
def test_a_result_in_check_mode_does_not_count_as_a_change_in_a_real_run(
    sim: Simulator, recorded: Callable[..., Operation], tmp_path: Path, loop: str
) -> None:
    dry = '      check_mode: "{{ dry_run }}"\n'
    found = recorded(f"{PLAY}  tasks:{RESTART}      when: first\n{REDEPLOY}{dry}{loop}", dry_run=True)
    assert [row["path"].rpartition("/")[2] for row in sim.writes()] == ["power-cycle"]
    assert found.row["sentence"] == "Complete. 1 done, 2 not touched."
    assert (found.row["check"], found.row["to_version"]) == (False, None)
    assert messages(found) == [("updated", ""), ("not_touched", ONLY_PREDICTED), ("not_touched", ONLY_PREDICTED)]
    listed, _total = results(tmp_path / "console.db", found.row["key"], statuses=("changed",))
    assert listed["task"].tolist() == ["Restart the agent"]


@pytest.mark.usefixtures("environment")
def test_a_result_outside_check_mode_counts_as_a_change_in_a_run_with_check(
    sim: Simulator, recorded: Callable[..., Operation], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = '      check_mode: "{{ not first }}"\n'
    found = recorded(f"{PLAY}  tasks:{RESTART}{real}", "--check")
    assert [row["path"].rpartition("/")[2] for row in sim.writes()] == ["power-cycle"]
    assert found.row["sentence"] == f"Complete. {DESPITE_CHECK} 1 done, 2 not touched."
    assert (found.row["check"], found.row["verdict"]) == (False, "complete")
    assert messages(found) == [("updated", ""), ("not_touched", ONLY_PREDICTED), ("not_touched", ONLY_PREDICTED)]
    text = words(opened(monkeypatch, tmp_path / "console.db", "operation", id=found.row["key"]))
    assert found.row["sentence"] in text
    assert text.count(ONLY_PREDICTED) == 2


def test_what_a_run_with_check_reads_outside_check_mode_leaves_it_a_check_run(
    sim: Simulator, recorded: Callable[..., Operation], tmp_path: Path
) -> None:
    reads = f"""
    - name: Read the health
      fleetops.agents.instance_health_info:
        instance_id: "{{{{ fleetops_instance_id }}}}"
      check_mode: false
    - name: Write a report
      fleetops.agents.report_file:
        path: {tmp_path}/report.txt
        content: Written in check mode too.
      check_mode: false
      run_once: true
"""
    found = recorded(f"{PLAY}  tasks:{reads}{RESTART}", "--check")
    assert (tmp_path / "report.txt").exists()
    assert not sim.writes()
    assert found.row["sentence"] == "Check run, nothing was changed. 3 would be done."


def test_the_report_of_a_prediction_does_not_count_in_a_run_that_also_changed_something(
    sim: Simulator, recorded: Callable[..., Operation]
) -> None:
    real = "      check_mode: false\n      when: first\n"
    rolling = f"- ansible.builtin.import_playbook: {CHECKOUT}/playbooks/rolling_redeploy.yml\n"
    found = recorded(f"{PLAY}  tasks:{RESTART}{real}{rolling}", "--check")
    assert [row["path"].rpartition("/")[2] for row in sim.writes()] == ["power-cycle"]
    assert found.row["sentence"] == f"Complete. {DESPITE_CHECK} 1 done, 2 not touched."
    assert found.row["to_version"] is None


UNTIL_DONE = """\
        wait_timeout: 0
        healthy_reads: 0
      register: redeploy
      until: redeploy is not failed
      retries: 60
      delay: 1
"""


@pytest.mark.parametrize("loop", [False, True], ids=["by each host", "in a loop of localhost"])
def test_a_change_by_an_earlier_attempt_counts_although_the_last_attempt_found_nothing_to_do(
    sim: Simulator, recorded: Callable[..., Operation], loop: bool
) -> None:
    redeploy = f"{REDEPLOY}{UNTIL_DONE}"
    if loop:
        redeploy = redeploy.replace("{{ fleetops_instance_id }}", "{{ item }}") + "      loop: '{{ ids }}'\n"
    text = f"{PLAY.replace('hosts: all', 'hosts: localhost') if loop else PLAY}  tasks:{redeploy}"
    found = recorded(text, ids=sim.instance_ids)
    assert len(sim.writes()) == 3
    assert found.row["sentence"] == "Complete. 3 done."
