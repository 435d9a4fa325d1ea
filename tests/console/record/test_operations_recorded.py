# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Operations of real playbook runs: their numbers are those of the runs' own reports, also without these."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.simulator.running import running_simulator

pytestmark = pytest.mark.playbook
QUICK = {
    "fleetops_wait_interval": 0.2,
    "fleetops_healthy_reads": 1,
    "fleetops_uncertain_grace": 0,
    "fleetops_recover_power_cycle_timeout": 4,
    "fleetops_recover_interval": 0.3,
    "fleetops_recover_min_uptime": 0,
    "fleetops_min_uptime": 0,
}


def test_sample(run_playbook, playbook_environment, tmp_path):
    import subprocess, sys, json

    with running_simulator(instances=7, speed=20.0, faults={"outcomes": {"agent-004": ["failed"]}}) as sim:
        for book, args, more in (
            ("rolling_redeploy", ("--check",), {}),
            ("rolling_redeploy", (), {}),
            ("apply_updates", (), {}),
            ("reboot", ("--limit", "agent-00[12]*"), {"fleetops_only_if_unhealthy": False}),
            ("fleet_rollout", ("--check",), {}),
            ("fleet_rollout", (), {}),
            ("recover", (), {}),
            ("audit_report", (), {}),
            ("update_policy", (), {"fleetops_max_parallel_rollouts": 3}),
        ):
            if book == "fleet_rollout":
                sim.knobs(publish="9999.1.0")
            run = run_playbook(sim, f"playbooks/{book}.yml", *args, e={**QUICK, **more})
            print(book, args, run.rc)
            (tmp_path / "out.txt").open("a").write(f"===== {book} {args}\n{run.output}")
        env = {**playbook_environment(sim), "FLEETOPS_CONSOLE_DB": str(tmp_path / "console.db")}
        done = subprocess.run(
            [sys.executable, "-m", "console", "sync", "--details"], env=env, capture_output=True, text=True
        )
        print(done.stdout, done.stderr)
        shutil.copytree(tmp_path / "spool", "/tmp/w4sample/spool", dirs_exist_ok=True)
        shutil.copy(tmp_path / "console.db", "/tmp/w4sample/console.db")
        shutil.copy(tmp_path / "out.txt", "/tmp/w4sample/out.txt")
