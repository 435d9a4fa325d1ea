# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plan, approve, run: with the real ansible-runner, in the folders that AWX creates for the jobs of a workflow.

AWX takes the artifacts of a job from the last event of ansible-runner, and gives them to the later nodes of a workflow
as variables that are marked unsafe.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import BIN
from tests.integration.rolling import QUICK, redeploys
from tests.simulator.running import Simulator, running_simulator

pytestmark = pytest.mark.playbook

# How AWX writes the variables of a job that do not come from its template.
UNSAFE = "!unsafe"


class _Awx(yaml.SafeDumper):
    """Writes every string as AWX does."""


_Awx.add_representer(str, lambda dumper, text: dumper.represent_scalar(UNSAFE, text, style="'"))


def job(folder: Path, environment: Mapping[str, str], variables: Mapping[str, Any], *, check: bool) -> tuple[int, Any]:
    """Run rolling_redeploy as AWX does. Returns the exit code and the artifacts."""
    (folder / "env").mkdir(parents=True)
    (folder / "inventory").mkdir()
    (folder / "inventory" / "fleet.fleet.yml").write_text("plugin: fleetops.agents.fleet\n")
    (folder / "env" / "extravars").write_text(yaml.dump(dict(variables), Dumper=_Awx))
    (folder / "env" / "cmdline").write_text("--forks 20 --check" if check else "--forks 20")
    (folder / "project").mkdir()
    command = [str(BIN / "ansible-runner"), "run", str(folder), "-p", "fleetops.agents.rolling_redeploy", "-i", "1"]
    done = subprocess.run(command, env=dict(environment), capture_output=True, text=True, timeout=300, check=False)
    events = [json.loads(file.read_text()) for file in (folder / "artifacts" / "1" / "job_events").glob("*.json")]
    ends = [event["event_data"] for event in events if event["event"] == "playbook_on_stats"]
    assert len(ends) == 1, done.stdout + done.stderr
    return done.returncode, {**ends[0]["artifact_data"], "shown": done.stdout}


def test_check_mode_publishes_the_plan_to_approve_and_a_run_needs_the_hash_of_the_approved_plan(
    playbook_environment: Callable[[Simulator], dict[str, str]], tmp_path: Path
) -> None:
    needed = {**QUICK, "fleetops_plan_required": True}
    with running_simulator(instances=2, speed=40.0) as sim:
        environment = {**playbook_environment(sim), "ANSIBLE_CONFIG": ""}
        # A run in check mode needs no approved plan: it makes the plan that is approved.
        rc, found = job(tmp_path / "plan", environment, needed, check=True)
        shown = found.pop("shown")
        assert rc == 0 and sim.writes() == [], shown
        assert found["fleetops_plan_hash"] == found["fleetops_report"]["plan_hash"] != ""
        assert found["fleetops_plan_counts"] == {
            "batches": 2, "planned": 2, "left_alone": 0, "left_out": 0, "gone": 0,
        }  # fmt: skip
        lines = found["fleetops_plan_text"]
        assert lines[-1] == f"Plan hash: {found['fleetops_plan_hash']}"
        assert all(line in shown for line in lines)

        rc, refused = job(tmp_path / "blank", environment, {**needed, "fleetops_plan_hash": " "}, check=False)
        assert rc == 2 and sim.writes() == [], refused["shown"]
        [reason] = refused["fleetops_report"]["reasons"]
        assert reason.startswith("This run needs an approved plan (fleetops_plan_required)") and "--check" in reason
        assert "fleetops_plan_hash" not in refused and refused["fleetops_report"]["check_mode"] is False

        rc, done = job(tmp_path / "run", environment, {**needed, **found}, check=False)
        assert rc == 0, done["shown"]
        assert sorted(redeploys(sim).values()) == [1, 1]
        assert done["fleetops_report"]["plan_hash"] == found["fleetops_plan_hash"]
        # A run publishes no plan: the workflow keeps the artifacts of the approved one.
        assert "fleetops_plan_text" not in done
