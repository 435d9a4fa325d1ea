# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stores single runs and rollouts at a fixed time, for tests of what the record says about them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from console.outcomes.words import CATEGORIES
from console.record.rows import Cursor, Row, RunRows, to_json
from console.record.write.store import open_store
from tests.console.support.seeded import REASON, host_name, ident, rollout_read, target

NOW = 1_795_000_000.0
A, B, C, D = (host_name(n) for n in range(4))
SELECTED = """
[to.hook]
kind = "webhook"
address_env = "HOOK"
secret_env = "NONE"
[[rule]]
on = "operations"
to = "hook"
"""
RUNTIME, REBOOT = "fleetops.agents.instance_runtime", "fleetops.agents.instance_reboot"


def report(verdict: str = "pass", **names: Sequence[str]) -> dict[str, Any]:
    lists = {c: list(names.get(c, ())) for c in CATEGORIES if c not in ("running", "waiting")}
    why = dict.fromkeys([*lists["failed"], *lists["uncertain"]], "boom")
    reasons = ["1 instance failed; at most 0 may fail."] if verdict == "fail" else []
    return {**lists, "counts": {c: len(n) for c, n in lists.items()}, "why": why, "verdict": verdict,
            "reasons": reasons, "disagreements": {}}  # fmt: skip


def put_run(
    path: Path,
    run_id: str,
    ago: float,
    *,
    hosts: Sequence[str] = (),
    reported: dict[str, Any] | None = None,
    results: Sequence[Row] = (),
    links: Sequence[tuple[str, str, str] | tuple[str, str, str, int]] = (),
    flying: Sequence[str] = (),
    action: str = RUNTIME,
    job: Row | None = None,
    after: int | None = None,
    recap: Sequence[Row] = (),
    **run: Any,
) -> None:
    """Store a run with one task on its hosts, started ``ago`` seconds before NOW."""
    started = NOW - ago
    row = {"run_id": run_id, "source": "callback", "playbook": "playbooks/rolling_redeploy.yml", "status": "successful",
           "started_at": started, "ended_at": started + 60, "heartbeat_at": started + 60, "check_mode": 0,
           "user": "mara", **run}  # fmt: skip
    if reported is not None:
        row["stats_json"] = to_json(reported if "left_out" in reported else {"fleetops_report": reported})
    key = {"run_id": run_id}
    rows = RunRows(
        row,
        plays=[{**key, "counter": 1, "play": 1, "batch": 1, "pattern": "x", "hosts": len(hosts),
                "hosts_json": json.dumps(list(hosts)), "started_at": started}],
        tasks=[{**key, "counter": 2, "play_counter": 1, "name": "Work", "action": action, "started_at": started}],
        results=[{**key, "counter": 3 + n, "play_counter": 1, "task_counter": 2, "kind": "result", "changed": 0,
                  "ended_at": started + 50, **result} for n, result in enumerate(results)],
        links=[{**key, "kind": kind, "ref": ref, "counter": (*counter, 3)[0], "host": host}
               for kind, ref, host, *counter in links],
        in_flight=[{**key, "host": host, "counter": 2, "task_counter": 2, "started_at": started} for host in flying],
        hosts=[{**key, "failed": 0, "rescued": 0, "ignored": 0, "final": 1, **counts} for counts in recap],
    )  # fmt: skip
    with open_store(path) as store:
        store.put_run(rows, Cursor("spool", run_id, position=(after or 0) + 1), after=after, job=job)


def put_rollout(path: Path, number: int, ago: float, *words: str, scope: str = "fleet", first: int = 0) -> str:
    """Store a rollout created ``ago`` seconds before NOW, with a target for each status in ``words``."""
    rollout_id, created = ident(number, 0x7700), NOW - ago
    is_open = any(word in ("queued", "in_progress") for word in words)
    targets = [
        target(first + n, rollout_id, word, created, created + 1, None if word in ("queued", "in_progress") else
               created + 30, error_message=REASON if word == "failed" else None) for n, word in enumerate(words)
    ]  # fmt: skip
    status = "in_progress" if is_open else "partial" if "failed" in words else "completed"
    with open_store(path) as store:
        store.put_rollouts([rollout_read(rollout_id, targets, status, created, None if is_open else created + 40,
                                         scope=scope)])  # fmt: skip
    return rollout_id
