# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Benchmark: how long a rolling redeploy takes compared with the ideal time, and how its cost grows.

    python -m tests.bench.rolling_cost [--size instances:limit:pace:speed ...]

ansible-playbook redeploys a simulated fleet, where a redeploy takes 10 to 30 s of the simulator's clock. ``speed`` is
the factor by which that clock is faster than real time. The pauses of the playbook are divided by it, but the computing
time of the controller is not, so a higher speed gives worse figures. The ideal time is the sum of all redeploys divided
by the limit. Finally, only the decisions are measured, for 1,000 and 10,000 instances with a counted clock. The exit
code is 1 if a goal is missed; on a busy machine the goals for time are missed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# `make bench` starts this file by its path.
sys.path.insert(0, str(ROOT))

# whole: the time of the run divided by the ideal; stream: the same after the canary; calls: per instance.
GOALS: dict[str, dict[str, float]] = {
    "60:10:batches:1": {"whole": 1.7},
    "200:20:continuous:1": {"whole": 1.35, "stream": 1.15, "calls": 12.0},
    "250:50:continuous:1": {},
    "1000:50:continuous:1": {"calls": 12.0},
}
# The largest factor between the last two rows, for the CPU seconds and the calls per instance.
MAX_GROWTH = 1.3


@dataclass(frozen=True)
class Rolled:
    """One run. Times are in seconds of the simulator's clock. CPU and memory include the workers."""

    wall: float
    whole: float
    stream: float
    ideal: float
    ideal_stream: float
    calls: Counter[str]
    cpu: float
    peak_mb: float


def roll(instances: int, limit: int, pace: str, speed: float) -> Rolled:
    """Redeploy the fleet once. Raises RuntimeError if the run failed or exceeded the limit."""
    from tests.simulator.running import running_simulator

    with (
        tempfile.TemporaryDirectory(prefix="rolling-cost-") as scratch,
        running_simulator(instances=instances, speed=speed, knobs={"deploy_s": [10, 30]}) as sim,
    ):
        sim.knobs(policy={"max_parallel_rollouts": limit})
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("ANSIBLE_", "FLEETOPS_"))}
        environment = {
            **kept,
            **sim.environment(),
            "ANSIBLE_CONFIG": str(ROOT / "inventories" / "demo" / "ansible.cfg"),
            "XDG_RUNTIME_DIR": scratch,
            "XDG_STATE_HOME": scratch,
            "FLEETOPS_RUN_LOG_DIR": str(Path(scratch) / "runs"),
        }
        given = {"fleetops_pace": pace, "fleetops_wait_interval": 2.0 / speed}
        command = [str(Path(sys.executable).parent / "ansible-playbook"), "playbooks/rolling_redeploy.yml"]
        inventory = Path(scratch) / "bench.fleet.yml"
        inventory.write_text("plugin: fleetops.agents.fleet\n")
        command += ["-i", str(inventory), "-e", json.dumps(given), "--forks", str(limit * 8 // 5)]
        started = time.monotonic()
        with (Path(scratch) / "output.txt").open("wb") as output:
            run = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
            _pid, status, usage = os.wait4(run.pid, 0)
        run.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - started
        text = (Path(scratch) / "output.txt").read_text()
        flights, journal = sim.in_flight(), sim.journal()
    if run.returncode != 0 or flights["violations"]:
        raise RuntimeError(f"ansible-playbook ended with {run.returncode}, {flights['violations']}:\n{text[-3000:]}")
    events = flights["history"]
    ends: dict[str, float] = {}
    durations: dict[str, float] = {}
    for row in events:
        if row["event"] == "start":
            ends[row["instance"]] = row["at"]
        else:
            durations[row["instance"]] = row["at"] - ends[row["instance"]]
    if len(durations) != instances:
        raise RuntimeError(f"{len(durations)} of {instances} instances were redeployed:\n{text[-3000:]}")
    starts = sorted(row["at"] for row in events if row["event"] == "start")
    last, canary = max(row["at"] for row in events), next(row["instance"] for row in events)
    work = sum(durations.values())
    return Rolled(
        wall,
        last - starts[0],
        last - starts[1],
        work / limit,
        (work - durations[canary]) / limit,
        Counter(row["operation_id"] + (" live" if row["query"].get("force") == "true" else "") for row in journal),
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss / 1024,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", action="append", help="instances:limit:pace:speed")
    sizes = parser.parse_args().size or list(GOALS)
    missed: list[str] = []
    rows: dict[str, dict[str, float]] = {}
    print(
        f"{'pace':12}{'instances':>10}{'limit':>7}{'speed':>7}{'whole':>8}{'stream':>8}{'calls':>8}"
        f"{'CPU s':>8}{'MB':>7}{'wall s':>8}   whole, stream: factor of the ideal time; calls, CPU: per instance"
    )
    for size in sizes:
        instances, limit, pace, speed = size.split(":")
        done = roll(int(instances), int(limit), pace, float(speed))
        row = rows[size] = {
            "whole": done.whole / done.ideal,
            "stream": done.stream / done.ideal_stream,
            "calls": sum(done.calls.values()) / int(instances),
            "cpu": done.cpu / int(instances),
        }
        print(
            f"{pace:12}{instances:>10}{limit:>7}{speed:>7}{row['whole']:8.2f}{row['stream']:8.2f}{row['calls']:8.1f}"
            f"{row['cpu']:8.2f}{done.peak_mb:7.0f}{done.wall:8.0f}   load {os.getloadavg()[0]:.1f}",
            flush=True,
        )
        each = {name: round(count / int(instances), 2) for name, count in done.calls.most_common()}
        print(f"{'':12}{each}", flush=True)
        goals = GOALS.get(size, {}).items()
        missed += [f"{size} {what}" for what, most in goals if round(row[what], 1 if what == "calls" else 2) > most]
    print(slope({int(size.split(":")[0]): row["cpu"] for size, row in rows.items() if ":continuous:" in size}))
    if len(sizes) > 1 and sizes == list(GOALS):
        small, large = (rows[size] for size in sizes[-2:])
        missed += [f"growth of {what}" for what in ("cpu", "calls") if large[what] > MAX_GROWTH * small[what]]
    missed += decisions()
    print(f"missed: {', '.join(missed) or 'nothing'}")
    return 1 if missed else 0


def slope(cpu: dict[int, float]) -> str:
    """The CPU seconds of the start and of each instance. ``cpu``: CPU seconds per instance by fleet size."""
    small, large = min(cpu, default=0), max(cpu, default=0)
    if small == large:
        return "CPU of the start and per instance: this needs two sizes with the continuous pace"
    each = (large * cpu[large] - small * cpu[small]) / (large - small)
    start = small * (cpu[small] - each)
    return f"CPU s, from {small} and {large} instances: {start:.1f} for the start, {each:.3f} per instance"


def decisions() -> list[str]:
    """Measure the plan and the decision before each redeploy, without Ansible and without a server."""
    from tests.unit.rules.continuous_plan import seconds_for

    small, large = seconds_for(1_000), seconds_for(10_000)
    print(f"only the decisions, CPU s: {small:.2f} for 1,000 instances, {large:.2f} for 10,000")
    return ["growth of the decisions"] if large > 15 * small + 0.2 else []


if __name__ == "__main__":
    sys.exit(main())
