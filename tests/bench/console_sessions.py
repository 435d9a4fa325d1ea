# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Benchmark: twenty concurrent sessions of the console while syncs from a simulator write to its database.

    .venv/bin/python tests/bench/console_sessions.py [--sessions 20] [--turns 12] [--pause 1]

Every session opens a page each second, far more often than people do. The exit code is 1 if a page did not arrive
or showed an error, if a sync failed, or if half of the pages took longer than 2 s.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from console.record.write.store import open_store
from tests.console.support.crowd import Crowd, Stop, Syncs, syncing, visit_all
from tests.console.support.seeded import BIG, RUN, TENANT, fleet_rollout, host_name, ident, seed_small
from tests.console.support.served import serving
from tests.simulator.running import running_simulator

MAX_MEDIAN = 2.0

AGENT = ident(0, 0xB0)

STOPS = (
    Stop("", "", "Overview"),
    Stop("operations", "", "Operations"),
    Stop("operation", f"id={RUN}", "rolling_redeploy"),
    Stop("rollout", f"id={BIG}", "Rollout, fleet"),
    Stop("instances", "", "Instances"),
    Stop("instance", f"id={AGENT}", host_name(0)),
    Stop("failures", "", "Failures"),
    Stop("run", f"id={RUN}", "rolling_redeploy, "),
    Stop("audit", "", "Audit summary"),
    Stop("policy", "", "Policy and window"),
    Stop("record", "", "Record health"),
)


def run(folder: Path, sessions: int, turns: int, pause: float, targets: int) -> tuple[Crowd, Crowd, Syncs]:
    """Measure one session alone, then all sessions at once during syncs."""
    database, run_logs = folder / "console.db", folder / "runs"
    now = time.time()
    seed_small(database, run_logs, now)
    with open_store(database) as store:
        store.put_rollouts([fleet_rollout(BIG, targets, max(2, min(50, targets // 10)), now - 30000)])
        store.put_tenant(TENANT, now)
    with running_simulator(instances=100, speed=10.0) as simulator, serving(database, run_logs) as server:
        simulator.call("POST", "/v1/instances/fleet/runtime/rollout")
        visit_all(server, STOPS, sessions=1, turns=len(STOPS))
        alone = visit_all(server, STOPS, sessions=1, turns=turns)
        with syncing(database, run_logs, simulator.environment()) as syncs:
            crowd = visit_all(server, STOPS, sessions=sessions, turns=turns, pause=pause)
    return alone, crowd, syncs


def row(name: str, times: list[float]) -> str:
    """A line of the table: count, median, 95th percentile and maximum."""
    return (
        f"{name:<22}{len(times):>7}{statistics.median(times):>9.2f}"
        f"{times[min(len(times) - 1, len(times) * 95 // 100)]:>7.2f}{times[-1]:>7.2f}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--turns", type=int, default=12)
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between the pages of a session (%(default)g)")
    parser.add_argument("--targets", type=int, default=2000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        alone, crowd, syncs = run(Path(name), arguments.sessions, arguments.turns, arguments.pause, arguments.targets)
    crowded = f"{crowd.sessions} sessions, {arguments.pause:g} s between their pages"
    print(f"{crowded}; {os.cpu_count()} cores, load now {os.getloadavg()[0]:.1f}")
    print(f"{'page':<22}{'visits':>7}{'median s':>9}{'p95':>7}{'max':>7}")
    for heading, times in crowd.seconds.items():
        print(row(heading, sorted(times)))
    print(row("all", crowd.arrived))
    print(row("all, one session alone", alone.arrived))
    print(f"pages per second        {len(crowd.arrived) / crowd.wall:.1f} ({crowd.wall:.0f} s)")
    print(
        f"server's CPU            {crowd.cpu / len(crowd.arrived) * 1000:.0f} ms per page, {crowd.cpu:.1f} s in total"
    )
    each, grown = crowd.grown / crowd.sessions / 1e6, crowd.grown / 1e6
    print(f"memory                  {each:.1f} MB per session, {grown:.0f} MB in total")
    print(f"syncs meanwhile         {syncs.count}")
    failed = [*crowd.troubles, *syncs.troubles]
    if not syncs.count:
        failed.append("no sync succeeded")
    if statistics.median(crowd.arrived or [0.0]) > MAX_MEDIAN:
        failed.append(f"half of the pages took longer than {MAX_MEDIAN:g} s")
    for sentence in failed[:20]:
        print(f"failed: {sentence}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
