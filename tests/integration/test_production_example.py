# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The example that people copy works unchanged once the environment has the address of the server and the key."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import yaml

from tests.conftest import BIN, CHECKOUT, PlaybookRun
from tests.simulator.running import Simulator
from tests.unit.meta.roles import PLAYBOOKS, variables

EXAMPLE = CHECKOUT / "inventories" / "production.example"
GROUP_VARS = EXAMPLE / "group_vars" / "fleetops_instances.yml"
SETTINGS = {"ANSIBLE_CONFIG": str(EXAMPLE / "ansible.cfg")}


def listed(environment: dict[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BIN / "ansible-inventory"), "-i", str(EXAMPLE), "--list"],
        cwd=cwd, env=environment | SETTINGS, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_the_example_is_an_inventory_of_the_whole_fleet(
    simulator: Simulator, playbook_environment: Callable[[Simulator], dict[str, str]], tmp_path: Path
) -> None:
    environment = playbook_environment(simulator)
    done = listed(environment, tmp_path)
    assert done.returncode == 0, done.stderr
    listing = json.loads(done.stdout)
    assert len(listing["fleetops_instances"]["hosts"]) == 6
    set_here = yaml.safe_load(GROUP_VARS.read_text())
    for host in listing["fleetops_instances"]["hosts"]:
        assert set_here.items() <= listing["_meta"]["hostvars"][host].items()
    kept = [file.read_text() for file in (tmp_path / ".cache").rglob("*") if file.is_file()]
    assert kept and not any(simulator.admin_key in text for text in kept)

    without = listed({k: v for k, v in environment.items() if k != "FLEETOPS_API_URL"}, tmp_path)
    assert without.returncode != 0
    assert "api_url" in without.stderr and "Traceback" not in without.stderr


def test_a_run_uses_the_variables_of_the_group(
    simulator: Simulator, run_playbook: Callable[..., PlaybookRun], tmp_path: Path
) -> None:
    # Not healthy enough for this fleet, but healthy enough for the defaults.
    simulator.knobs(disease={"agent-001": "process"})
    run = run_playbook(simulator, "playbooks/rolling_redeploy.yml", "--check", inventory=EXAMPLE, env=SETTINGS)
    assert run.rc == 2, run.output
    assert "5 of 6 checked instances are healthy; at least 90% must be" in run.output, run.output
    assert simulator.writes() == []
    assert run.events()[-1]["event"] == "playbook_on_stats"


def test_the_group_only_sets_variables_that_exist_and_apply_to_hosts() -> None:
    text = GROUP_VARS.read_text()
    named = set(re.findall(r"^(?:# )?(fleetops_\w+): ", text, re.MULTILINE))
    assert named > set(yaml.safe_load(text))
    assert named <= {variable for playbook in PLAYBOOKS for variable in variables(playbook)}
    # Keywords of a play are evaluated before a host is known, so variables of a group do not apply.
    of_plays = {"fleetops_hosts"}
    for playbook in PLAYBOOKS:
        for play in yaml.safe_load((CHECKOUT / "playbooks" / f"{playbook}.yml").read_text()):
            of_plays |= set(
                re.findall(
                    r"(?<=fleetops_asked\.)fleetops_\w+",
                    f"{play['hosts']} {play.get('serial', '')}",
                )
            )
    assert of_plays and named & of_plays == set()
    assert of_plays <= set(re.findall(r"fleetops_\w+", text.partition("\n\n")[0]))
