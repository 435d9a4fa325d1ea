# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The median and the 95th percentile of durations are the same wherever they are shown, and in the plan of a run."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ansible_collections.fleetops.agents.plugins.module_utils._rules.batches import Member
from ansible_collections.fleetops.agents.plugins.module_utils._rules.durations import Usual, percentile
from ansible_collections.fleetops.agents.plugins.module_utils._rules.plan import expect
from console.record.read import durations, stuck
from console.record.rows import Cursor
from console.record.write.store import open_store
from tests.console.support.seeded import TENANT, ident, rollout_read, target

NOW = float(int(time.time()))
NEW, SAME, OPEN = ident(1, 0x0A01), ident(2, 0x0A02), ident(3, 0x0A03)
INSTANCE = ident(5, 0xB0)


@pytest.mark.parametrize("count", [4, 5, 19, 20, 21, 50])
def test_percentiles_of_durations_are_the_same_on_every_page_and_in_the_plan(tmp_path: Path, count: int) -> None:
    took = [300.0 + (37 * n) % count * 10 for n in range(count)]
    path, reads = tmp_path / "console.db", []
    for number, seconds in enumerate(took):
        at, rollout = NOW - 90_000 + number * 1000, ident(number, 0x1000)
        one = target(5, rollout, "succeeded", at, at, at + seconds)
        reads.append(rollout_read(rollout, [one], "completed", at, at + seconds))
    with open_store(path) as store:
        store.put_tenant(TENANT, NOW)
        store.put_cursor(Cursor("api", TENANT, last_ok_at=NOW))
        store.put_rollouts(reads)
    p50, p95 = percentile(took, 50), percentile(took, 95)

    usual = durations.usual_of_instance(path, TENANT, INSTANCE)
    assert (usual["p50"], usual["p95"], usual["fleet_p95"]) == (p50, p95, p95)
    earlier = durations.usual_runs(path, TENANT, NEW, NOW, [INSTANCE])
    assert earlier[["p50_s", "p95_s"]].to_numpy().tolist() == [[p50, p95]] * 2
    known = [Member("agent", INSTANCE, "1", "2", True, "outdated")]
    assert expect([known], Usual({INSTANCE: took}, 0.0), [0.0])[0].p50 == p50

    # A rollout with the same durations, and one that has been running for a second longer than three times the p95.
    same = [target(n, SAME, "succeeded", NOW - 9000, NOW - 9000, NOW - 9000 + s) for n, s in enumerate(took, 100)]
    running = target(5, OPEN, "in_progress", NOW - 3 * (p95 or 0) - 1, NOW - 3 * (p95 or 0) - 1, None)
    with open_store(path) as store:
        store.put_rollouts([rollout_read(SAME, same, "completed", NOW - 9000, NOW - 8000)])
        store.put_rollouts([rollout_read(OPEN, [running], "running", NOW - 3 * (p95 or 0) - 1, None)])
    spent = durations.time_spent(path, TENANT, SAME, NOW).set_index("phase").loc["run"]
    assert (spent["p50_s"], spent["p95_s"]) == (p50, p95)
    slowest = durations.slowest_targets(path, TENANT, OPEN, NOW)
    assert slowest["usual_s"].tolist() == [p50]
    assert stuck.stuck(path, NOW)["rule"].tolist() == ["in progress"]
    assert not len(stuck.stuck(path, NOW - 2))
