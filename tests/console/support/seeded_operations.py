# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet of eight instances with three playbook runs: yesterday at ten, stopped by its gate, and in progress."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible_collections.fleetops.agents.plugins.module_utils._rules.report import make_report
from console.collect.api.records import audit_row, policy_row, summary_row
from console.collect.run_logs import sync_run_logs
from console.record.rows import Cursor, RolloutRead
from console.record.write.store import Store, open_store
from tests.console.support.seeded import TENANT, RunLog, host_name, ident, iso, rollout_read, target
from tests.console.support.seeded_instances import health, policy, put, updates

HOSTS = tuple(host_name(number) for number in range(8))
BATCH, AT_ONCE = 2, 2
YESTERDAY, STOPPED, UNDER_WAY = ident(1, 0x9C), ident(2, 0x9C), ident(3, 0x9C)
BY_OTHERS = ident(1, 0x0B4)
OPEN = {"name": "window", "verdict": "pass", "reason": "The maintenance window is open all day."}
REASON = "bundle checksum mismatch on the agent"
BAD = HOSTS[3]
WHY = f"1 instance failed ({BAD}); at most 0 may fail."
REPORT = {
    **make_report(
        HOSTS, HOSTS, {**{host: {"changed": True} for host in HOSTS[:3]}, BAD: {"failed": True, "msg": REASON}},
        verdict="fail", server={},
    ),
    "reasons": [WHY],
    "plan_hash": "ab12cd34ef567890",
}  # fmt: skip


def yesterday_at_ten(now: float) -> float:
    """10:00 UTC of the day before."""
    return now // 86400 * 86400 - 86400 + 10 * 3600


def seed_operations(path: Path, run_logs: Path, now: float) -> None:
    """Fill the record: the run logs, the redeploys as the server reports them, health, versions and audit."""
    run_logs.mkdir(exist_ok=True)
    ten = yesterday_at_ten(now)
    reboot(ten).write(run_logs)
    stopped, of_stopped = redeploy(STOPPED, now - 1800)
    stopped.write(run_logs)
    under_way, of_under_way = redeploy(UNDER_WAY, now - 40, begun=True)
    under_way.write(run_logs)
    earlier = [target(n, BY_OTHERS, "succeeded", ten - 86400, ten - 86390, ten - 86300) for n in range(len(HOSTS))]
    with open_store(path) as store, at_work(*run_logs.glob(f"*{UNDER_WAY}.jsonl")):
        store.put_tenant(TENANT, now)
        store.put_rollouts(
            [rollout_read(BY_OTHERS, earlier, "completed", ten - 86400, ten - 86300), *of_stopped, *of_under_way]
        )
        store.put_cursor(Cursor("api", TENANT, last_ok_at=now))
        store.put_policy(policy_row(TENANT, policy(now), now - 3600))
        _details(store, now, ten)
        sync_run_logs(store, run_logs, now=lambda: now)


@contextmanager
def at_work(log: Path) -> Iterator[None]:
    """Another process holds the lock on a run log, as the writer of a run in progress does."""
    code = (
        "import fcntl, sys; log = open(sys.argv[1], 'a'); fcntl.lockf(log, fcntl.LOCK_EX); print(flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(log)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        yield
        writer.communicate("\n")


def reboot(ten: float) -> RunLog:
    """At 10:02, jon restarts the second instance."""
    log = RunLog(YESTERDAY, ten + 120, "playbooks/reboot.yml")
    log.lines[0] = log.lines[0].replace('"user": "ops"', '"user": "jon"')
    log.play("Restart the instances", [HOSTS[1]], 1)
    log.task("Restart the instance", "fleetops.agents.instance_reboot")
    log.result(HOSTS[1], seconds=180.0, changed=True)
    log.stats({HOSTS[1]: {"ok": 1, "changed": 1}})
    return log


def redeploy(run_id: str, started: float, begun: bool = False) -> tuple[RunLog, list[RolloutRead]]:
    """A redeploy in batches of two. The gate stops it after the second batch; with ``begun`` it is in that batch.

    Tasks that only prepare are "ok" on every host, even if the host is not redeployed.
    """
    log, reads = RunLog(run_id, started), list[RolloutRead]()
    log.play("Read the fleet", HOSTS, 1)
    log.task("Set the requested version", "ansible.builtin.set_fact")
    for host in HOSTS:
        log.result(host, seconds=0.1, changed=False)
    log.task("Plan the batches", "fleetops.agents.rollout_plan")
    log.evidence(HOSTS[0], "plan", _plan(started))
    for number in (1, 2):
        names = HOSTS[(number - 1) * BATCH : number * BATCH]
        log.play("Roll the fleet in batches", names, number)
        log.task("Ask the gate", "fleetops.agents.rollout_gate")
        log.evidence(names[0], "gate", _gate("pass", 0))
        log.task("Redeploy the runtime", "fleetops.agents.instance_runtime")
        in_progress = begun and number == 2
        reads += [_redeployed(log, host, run_id, in_progress) for host in names]
    if begun:
        return log, reads
    log.play("Roll the fleet in batches", HOSTS[4:6], 3)
    log.task("Ask the gate", "fleetops.agents.rollout_gate")
    log.evidence(HOSTS[4], "gate", _gate("fail", 1))
    recap = {host: {"ok": 1} for host in HOSTS} | {host: {"ok": 2, "changed": 1} for host in HOSTS[:3]}
    log.stats({**recap, BAD: {"ok": 1, "failures": 1}}, fleetops_report=REPORT)
    return log, reads


def _redeployed(log: RunLog, host: str, run_id: str, in_progress: bool) -> RolloutRead:
    """Add the redeploy of a host to the run log, and return it as the server reports it."""
    number = HOSTS.index(host)
    rollout_id, created = ident(number, int(run_id[:8], 16) * 0x1000000 + int(run_id[-1]) * 0x100 + number), log.at
    if in_progress:
        log.put("runner_on_start", 1.0, host=host, task="Redeploy the runtime", task_uuid=ident(7, 4),
                task_action="fleetops.agents.instance_runtime")  # fmt: skip
        one = target(number, rollout_id, "in_progress", created, created + 0.5, None)
        return rollout_read(rollout_id, [one], "in_progress", created, None, scope="instance")
    failed = host == BAD
    done = {"msg": f"{host}: {REASON}", "failed": True} if failed else {"changed": True, "version_after": "2.5.0"}
    log.result(host, "failed" if failed else "ok", 12.0, rollout_id=rollout_id, **done)
    one = target(number, rollout_id, "failed" if failed else "succeeded", created, created + 0.5, created + 11.0,
                 error_message=REASON if failed else None)  # fmt: skip
    return rollout_read(rollout_id, [one], "failed" if failed else "completed", created, created + 11.0,
                        scope="instance")  # fmt: skip


def _plan(started: float) -> dict[str, Any]:
    batches = [{"size": BATCH, "instances": list(HOSTS[n : n + BATCH])} for n in range(0, len(HOSTS), BATCH)]
    expected = {"starts_at": iso(started), "ends_p50": iso(started + 240), "ends_p90": iso(started + 400)}
    counts = {"batches": len(batches), "planned": len(HOSTS), "left_alone": 0, "gone": 0}
    return {
        "plan_hash": REPORT["plan_hash"],
        "max_parallel_rollouts": AT_ONCE,
        "expected": expected,
        "batches": batches,
        "window": {"open": True, "fits": "all"},
        "left_alone": [],
        "gone": [],
        "counts": counts,
    }


def _gate(verdict: str, failed: int) -> dict[str, Any]:
    reason = WHY if failed else "no instance has failed"
    budget = {"name": "budget", "verdict": verdict, "reason": reason, "failed": failed, "max_failed": 0}
    return {"verdict": verdict, "reasons": [WHY] if failed else [], "checks": [budget, OPEN]}


def _details(store: Store, now: float, ten: float) -> None:
    """Three instances run the published runtime, five an older one; one is degraded; a tool failed at 10:04."""
    for number in range(len(HOSTS)):
        sick = {"database": "unhealthy"} if number == 5 else {}
        put(store, "health", number, health(number, now - 60, "degraded" if sick else "healthy", **sick), now)
        put(store, "updates", number, updates(number, now, "2.5.0" if number < 3 else "2.4.0", "2.5.0"), now)
    put(store, "health", 1, health(1, ten + 180, "unhealthy"), now)
    put(store, "health", 1, health(1, ten + 360, "healthy"), now)
    for number in range(2):
        moments: Sequence[tuple[float, str]] = ((ten + 240, "error"), (now - 7000, "success"))
        events = [
            {"id": f"{number}-{outcome}", "event_ts": iso(at), "outcome": outcome, "event_type": "tool_call",
             "source": "mcp", "tool_name": "search", "role": "agent"}
            for at, outcome in moments[: 1 + number]
        ]  # fmt: skip
        figures = {"total_events": len(events), "success_events": number, "error_events": 1, "by_source": {}}
        store.put_audit(
            [audit_row(TENANT, ident(number, 0xB0), event) for event in events],
            summary_row(TENANT, ident(number, 0xB0), figures, now),
            Cursor("audit", f"{TENANT}|{ident(number, 0xB0)}", last_ok_at=now),
        )
