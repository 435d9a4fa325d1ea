# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Benchmark: the CPU time of the run log, by running the same playbook alternately with and without it.

``python -m tests.bench.run_log_cost [--hosts 200] [--tasks 10] [--rounds 2]``. The exit code is 1 if a goal is missed:
at most 5 % more CPU time for the run (minimum of the rounds), and at most 1 ms of CPU time per result in the hooks.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

MAX_EXTRA = 0.05
MAX_MS_A_RESULT = 1.0


@dataclass(frozen=True)
class Cost:
    """One run. ``cpu`` includes the workers, ``faults`` are page faults, ``hooks`` are the CPU seconds in the hooks."""

    cpu: float
    wall: float
    faults: int
    hooks: float = 0.0
    calls: int = 0


def write_project(folder: Path, hosts: int, tasks: int) -> None:
    play = [
        {
            "hosts": "all",
            "gather_facts": False,
            "tasks": [{"name": f"Say {n}", "ansible.builtin.debug": {"msg": f"task {n}"}} for n in range(tasks)],
        }
    ]
    (folder / "site.yml").write_text(json.dumps(play))
    names = "\n".join(f"agent-{n:04d}" for n in range(hosts))
    (folder / "hosts.ini").write_text(f"[all]\n{names}\n[all:vars]\nansible_connection=local\n")


def run(folder: Path, logged: bool, metered: bool = False) -> Cost:
    """Run ansible-playbook; ``metered`` also measures the hooks, which adds a little time. Raises RuntimeError."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("ANSIBLE_", "FLEETOPS_"))}
    meter, run_logs = folder / "meter.json", folder / "runs"
    if logged:
        env |= {
            "ANSIBLE_CALLBACKS_ENABLED": "fleetops.agents.run_log",
            "FLEETOPS_RUN_LOG_DIR": str(run_logs),
        }
    if metered:
        env |= {
            "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).parent / "callback_plugins"),
            "ANSIBLE_CALLBACKS_ENABLED": "fleetops.agents.run_log,run_log_meter",
            "RUN_LOG_METER": str(meter),
        }
    program = [str(Path(sys.executable).parent / "ansible-playbook"), "-f", "10", "-i", "hosts.ini", "site.yml"]
    before = time.monotonic()
    with (folder / "output.txt").open("wb") as output:
        started = subprocess.Popen(program, cwd=folder, env=env, stdout=output, stderr=subprocess.STDOUT)
        _pid, status, usage = os.wait4(started.pid, 0)
    # wait4 has reaped the child, so Popen must not wait for it.
    started.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - before
    if started.returncode != 0:
        raise RuntimeError(f"ansible-playbook ended with {started.returncode}: {(folder / 'output.txt').read_text()}")
    cpu = usage.ru_utime + usage.ru_stime
    if not metered:
        return Cost(cpu, wall, usage.ru_minflt)
    spent = json.loads(meter.read_text())
    return Cost(cpu, wall, usage.ru_minflt, spent["seconds"], spent["calls"])


def recorded_results(folder: Path) -> tuple[int, int]:
    """The number of results in the newest run log, and its size in bytes."""
    newest = max((folder / "runs").iterdir(), key=lambda file: file.stat().st_mtime_ns)
    lines = newest.read_text(encoding="utf-8").splitlines()
    return sum(json.loads(line)["event"] == "runner_on_ok" for line in lines), newest.stat().st_size


def main() -> int:
    parser = argparse.ArgumentParser(description="CPU cost of the run log")
    parser.add_argument("--hosts", type=int, default=200)
    parser.add_argument("--tasks", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=2, help="number of runs of each kind; the minimum counts")
    given = parser.parse_args()
    expected = given.hosts * given.tasks
    costs: dict[bool, list[Cost]] = {False: [], True: []}
    with tempfile.TemporaryDirectory(prefix="run-log-cost-") as scratch:
        folder = Path(scratch)
        write_project(folder, given.hosts, given.tasks)
        for round_number in range(given.rounds):
            # The order alternates, so that a machine that slows down affects both equally.
            for logged in (False, True) if round_number % 2 == 0 else (True, False):
                costs[logged].append(run(folder, logged))
                if logged:
                    results, size = recorded_results(folder)
                    if results != expected:
                        raise RuntimeError(f"the run log contains {results} of {expected} results")
        inside = run(folder, logged=True, metered=True)
    print(f"{given.hosts} hosts x {given.tasks} debug tasks, {given.rounds} rounds, load now {os.getloadavg()[0]:.1f}")
    print(f"{'run log':<10}{'CPU s (all rounds)':<34}{'minimum':>8}{'wall s':>9}")
    for logged, label in ((False, "off"), (True, "on")):
        least = min(costs[logged], key=lambda cost: cost.cpu)
        rounds = ", ".join(f"{cost.cpu:.1f}" for cost in costs[logged])
        print(f"{label:<10}{rounds:<34}{least.cpu:>8.1f}{least.wall:>9.1f}")
    off, on = (min(cost.cpu for cost in costs[logged]) for logged in (False, True))
    extra, each = on / off - 1, inside.hooks / expected * 1000
    print(f"extra CPU of the run      {extra:+.1%} (goal: at most {MAX_EXTRA:+.0%})")
    means = [sum(cost.cpu for cost in costs[logged]) for logged in (False, True)]
    print(f"the same for the means    {means[1] / means[0] - 1:+.1%}")
    print(f"CPU in the hooks          {each:.3f} ms a result, {inside.hooks:.2f} s, {inside.calls} calls (goal: 1 ms)")
    print(f"hooks' share of the run   {inside.hooks / off:.1%}")
    # A write to a page that the controller shares with its forks copies it, which is half of the run's CPU time.
    fewest = [min(cost.faults for cost in costs[logged]) / expected for logged in (False, True)]
    print(f"page faults per result    {fewest[0]:.0f} off, {fewest[1]:.0f} on")
    print(f"written                   {size / expected:.0f} bytes per result")
    return 0 if extra <= MAX_EXTRA and each <= MAX_MS_A_RESULT else 1


if __name__ == "__main__":
    sys.exit(main())
