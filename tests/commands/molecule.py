# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`make molecule`: run each scenario of extensions/molecule against its own simulated fleet.

``python -m tests.commands.molecule [scenario ...]``. The exit code is 1 if a scenario fails.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.simulator.running import running_simulator

CHECKOUT = Path(__file__).resolve().parents[2]
SCENARIOS = CHECKOUT / "extensions" / "molecule"
BIN = Path(sys.executable).parent
# The initial state of the fleet of a scenario.
FLEETS: dict[str, dict[str, Any]] = {
    "recover": {"disease": {"agent-001": "breakers", "agent-003": "process"}},
}


def run(scenario: str) -> tuple[bool, str]:
    """Whether the scenario succeeded, and its output."""
    with (
        tempfile.TemporaryDirectory(prefix="fleetops-molecule-") as scratch,
        running_simulator(instances=4, speed=60.0, faults=FLEETS.get(scenario)) as sim,
    ):
        environment = {
            **os.environ,
            **sim.environment(),
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "FLEETOPS_ANSIBLE_CONFIG": str(CHECKOUT / "inventories" / "demo" / "ansible.cfg"),
            "FLEETOPS_INVENTORY": str(CHECKOUT / "inventories" / "demo" / "demo.fleet.yml"),
            "FLEETOPS_RUN_LOG_DIR": str(Path(scratch) / "runs"),
            "FLEETOPS_SCRATCH": scratch,
            "XDG_CACHE_HOME": scratch,
        }
        command = ["molecule", "--base-config", str(SCENARIOS / "config.yml"), "test", "--scenario-name", scenario]
        done = subprocess.run(
            command,
            cwd=SCENARIOS.parent,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode == 0, done.stdout


def main() -> int:
    known = sorted(path.parent.name for path in SCENARIOS.glob("*/molecule.yml"))
    wanted = sys.argv[1:] or known
    unknown = sorted(set(wanted) - set(known))
    if unknown:
        print(f"There is no scenario {', '.join(unknown)}. The scenarios are {', '.join(known)}.", file=sys.stderr)
        return 1
    failed = []
    with ThreadPoolExecutor(max_workers=2) as pool:
        for scenario, (succeeded, output) in zip(wanted, pool.map(run, wanted), strict=True):
            print(f"{'passed' if succeeded else 'FAILED'}: {scenario}", flush=True)
            if not succeeded:
                failed.append(scenario)
                print(output, file=sys.stderr)
    print(f"{len(wanted) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
