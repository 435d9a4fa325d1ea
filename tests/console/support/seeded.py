# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Databases for the tests of the pages, created as by sync: API records and run logs go through the store."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zlib import crc32

from console.collect.api.records import audit_row, rollout_row, summary_row, target_rows
from console.collect.run_logs import sync_run_logs
from console.record.rows import Cursor, RolloutRead
from console.record.write.store import open_store

TENANT = "http://127.0.0.1:1"
HOSTILE = (
    '<img src=x onerror="document.title=1"> ![p](http://203.0.113.9/x.png) :green-badge[succeeded] [a](javascript:1)'
)
REASON = "health check did not pass within 120 s: /readyz answered 503"


def ident(number: int, kind: int = 0) -> str:
    """A stable UUID."""
    return str(uuid.UUID(int=(kind << 96) + 0x4000_8000_0000_0000_0000 + number))


def iso(at: float | None) -> str | None:
    return datetime.fromtimestamp(at, UTC).isoformat() if at is not None else None


def host_name(number: int) -> str:
    return f"agent-{number:05d}.{('fsn1', 'nbg1', 'hel1', 'ash')[number % 4]}.fleet.example"


def target(
    number: int, rollout_id: str, status: str, created: float, started: float | None, done: float | None, **more: Any
):
    """An entry of the timeline (E1) with the fields of E4."""
    return {
        "target_id": ident(number, 0xA0000000 + int(rollout_id[:4], 16)),
        "instance_id": ident(number, 0xB0),
        "instance_hostname": host_name(number),
        "status": status,
        "last_result_status": None,
        "error_message": None,
        "created_at": iso(created),
        "started_at": iso(started),
        "completed_at": iso(done),
        "duration_seconds": done - started if started and done else None,
        "scheduled_countdown_seconds": 0,
        **more,
    }


def rollout_read(
    rollout_id: str, targets: Sequence[dict[str, Any]], status: str, created: float, done: float | None, **more
):
    """A rollout as sync reads it from E4 and E1."""
    words = [t["status"] for t in targets]
    record = {
        "id": rollout_id,
        "scope": "fleet",
        "status": status,
        "created_at": iso(created),
        "completed_at": iso(done),
        "initiated_from_ip": "198.51.100.7",
        "metadata_json": {},
        "total_targets": len(targets),
        **{f"{w}_targets": words.count(w) for w in ("queued", "in_progress", "succeeded", "failed", "uncertain")},
        **more,
    }
    rows = target_rows(TENANT, rollout_id, [], targets)
    return RolloutRead(rollout_row(TENANT, record, targets), rows, read_at=created + 1)


def scheduled(count: int, parallel: int, created: float, seed: int = 7) -> list[tuple[float, float]]:
    """Start and end of each target if ``parallel`` targets run at a time, for 20 to 70 s each."""
    rng = random.Random(seed)
    free = [created + 2.0] * parallel
    spans = []
    for _dummy in range(count):
        slot = min(range(parallel), key=free.__getitem__)
        start = free[slot] + rng.uniform(0.2, 3.0)
        free[slot] = start + rng.uniform(20, 70)
        spans.append((start, free[slot]))
    return spans


def fleet_rollout(rollout_id: str, count: int, parallel: int, created: float, bad: float = 0.05) -> RolloutRead:
    """A finished rollout of ``count`` targets. The second failed with a hostile message, others failed at random."""
    rng = random.Random(count)
    targets, end = [], created
    for number, (start, done) in enumerate(scheduled(count, parallel, created)):
        chance = rng.random()
        status = "failed" if number == 1 or chance < bad * 0.6 else "uncertain" if chance < bad else "succeeded"
        error = HOSTILE if number == 1 else {"failed": REASON, "uncertain": "worker lost: no result"}.get(status)
        targets.append(
            target(
                number,
                rollout_id,
                status,
                created,
                start,
                done,
                error_message=error,
                scheduled_countdown_seconds=number // parallel * 2,
                last_result_status=status,
                bundle_hash="b7c1f0a2",
            )
        )
        end = max(end, done)
    return rollout_read(rollout_id, targets, "partial", created, end)


def open_rollout(rollout_id: str, count: int, created: float, now: float) -> RolloutRead:
    """A rollout in progress, with succeeded, uncertain, running and queued targets. One target has invalid times."""
    targets = []
    for number, (start, done) in enumerate(scheduled(count, 3, created, seed=3)):
        if done < now:
            status = "uncertain" if number == 4 else "succeeded"
            targets.append(target(number, rollout_id, status, created, start, done))
        elif start < now:
            targets.append(target(number, rollout_id, "in_progress", created, start, None))
        else:
            targets.append(target(number, rollout_id, "queued", created, None, None, scheduled_countdown_seconds=30))
    targets[2].update(started_at="yesterday, about noon", completed_at="")
    return rollout_read(rollout_id, targets, "in_progress", created, None)


class RunLog:
    """Writes the run log of a run in the format of the run log."""

    def __init__(self, run_id: str, started: float, playbook: str = "playbooks/rolling_redeploy.yml") -> None:
        self.run_id, self.at, self.lines = run_id, started, []
        self._play = self._task = ""
        meta = {
            "run_id": run_id, "user": "ops", "controller": "control-1", "check_mode": False, "diff_mode": False,
            "limit": None, "tags": ["all"], "skip_tags": [], "forks": 10, "ansible_version": "2.19.14",
            "python_version": "3.11.7", "collection_version": "0.1.0", "job_id": None, "started_at": iso(started),
        }  # fmt: skip
        self.put("playbook_on_start", playbook=playbook, playbook_uuid=ident(1, 1), fleetops_run=meta)

    def put(self, event: str, seconds: float = 0.2, **data: Any) -> None:
        self.at += seconds
        counter = len(self.lines) + 1
        line = {"uuid": ident(counter, 2), "counter": counter, "event": event, "created": iso(self.at), "pid": 1}
        line |= {"runner_ident": self.run_id, "event_data": data}
        if counter > 1:
            line["parent_uuid"] = ident(1, 1)
        self.lines.append(json.dumps(line))

    def play(self, name: str, hosts: Sequence[str], batch: int) -> None:
        self._play = name
        self.put(
            "playbook_on_play_start",
            play=name,
            play_uuid=ident(crc32(name.encode()), 3),
            batch_hosts=list(hosts),
            batch=batch,
        )

    def task(self, name: str, action: str) -> None:
        self._task, self._action = name, action
        self.put("playbook_on_task_start", task=name, task_uuid=ident(hash(name) % 999, 4), task_action=action,
                 resolved_action=action, play=self._play)  # fmt: skip

    def result(self, host: str, outcome: str = "ok", seconds: float = 1.0, **res: Any) -> None:
        start = self.at
        self.put(f"runner_on_{outcome}", seconds, host=host, remote_addr=host, res=res, task=self._task,
                 task_action=self._action, resolved_action=self._action, play=self._play, duration=seconds,
                 start=iso(start), end=iso(start + seconds), ignore_errors=None)  # fmt: skip

    def evidence(self, host: str, kind: str, document: dict[str, Any]) -> None:
        """The result of a plan, a gate or a report, as the run log stores it."""
        self.put("runner_on_ok", host=host, res={}, task=self._task, task_action=self._action,
                 resolved_action=self._action, play=self._play, start=iso(self.at), end=iso(self.at + 0.2),
                 fleetops_evidence={"kind": kind, "document": document})  # fmt: skip

    def stats(self, hosts: dict[str, dict[str, int]], **artifacts: Any) -> None:
        """Write the recap. ``artifacts``: the custom stats of the run, such as its report."""
        names = {"ok": "ok", "changed": "changed", "failures": "failures", "dark": "dark", "skipped": "skipped"}
        data = {key: {h: c.get(name, 0) for h, c in hosts.items() if c.get(name)} for key, name in names.items()}
        self.put(
            "playbook_on_stats",
            **data,
            ignored={},
            rescued={},
            processed=dict.fromkeys(hosts, 1),
            artifact_data=artifacts,
        )

    def write(self, folder: Path) -> None:
        name = datetime.fromtimestamp(self.at, UTC).strftime("%Y%m%dT%H%M%SZ") + f"-{self.run_id}.jsonl"
        (folder / name).write_text("\n".join(self.lines) + "\n", encoding="utf-8")


def rolling_run(run_id: str, started: float, hosts: int = 12, batch: int = 3) -> tuple[RunLog, list[RolloutRead]]:
    """A run in batches whose last host fails, and the rollouts that it started, with one target each."""
    log, reads, stats = RunLog(run_id, started), [], {}
    for number in range(0, hosts, batch):
        names = [host_name(n) for n in range(number, min(number + batch, hosts))]
        log.play("Roll the fleet in batches", names, number // batch + 1)
        log.task("Redeploy the runtime", "fleetops.agents.instance_runtime")
        for offset, name in enumerate(names):
            here, bad = number + offset, number + offset == hosts - 1
            rollout_id, created = ident(here, 0x77000000 + here), log.at
            start, done = created + 0.5, created + 9.0 + offset * 3
            one = target(100 + here, rollout_id, "failed" if bad else "succeeded", created, start, done,
                         error_message=REASON if bad else None, instance_hostname=name)  # fmt: skip
            reads.append(
                rollout_read(rollout_id, [one], "failed" if bad else "completed", created, done, scope="instance")
            )
            if bad:
                log.result(name, "failed", 6.0, msg=f"{name}: {HOSTILE}", rollout_id=rollout_id, failed=True)
            else:
                log.result(name, "ok", 4.0, changed=True, rollout_id=rollout_id)
        log.task("Prove health", "fleetops.agents.instance_health_info")
        for name in names[: len(names) - (number + batch >= hosts)]:
            log.result(name, "ok", 0.4, changed=False, status="healthy")
            stats[name] = {"ok": 2, "changed": 1}
        stats.setdefault(names[-1], {"failures": 1})
    log.stats(stats)
    return log, reads


def audit_events(number: int, count: int, now: float) -> list[dict[str, Any]]:
    rng = random.Random(number)
    rows = []
    for index in range(count):
        at = now - rng.uniform(0, 9 * 86400)
        outcome = rng.choices(["success", "error", "denied"], [90, 7, 3])[0]
        rows.append(
            {
                "id": f"{number}-{index}", "event_id": f"e{index}", "event_ts": iso(at), "ingested_at": iso(at + 2),
                "event_type": "tool_call", "outcome": outcome, "role": "agent", "server_slug": None,
                "source": rng.choices(["mcp", "runtime", "api"], [6, 3, 1])[0],
                "tool_name": rng.choice(["search", "fetch_url", "memory_write", HOSTILE]),
            }
        )  # fmt: skip
    return rows


FLEET, OPEN, BIG = ident(1, 0x6513270E), ident(2, 0x0FE2), ident(3, 0x4D04ED73)
RUN, LOST = ident(1, 0x9A), ident(2, 0x9B)


def seed_small(path: Path, run_logs: Path, now: float, fleet: int = 24) -> None:
    """A rollout of 24 targets, an open rollout, a failed run with its rollouts, a lost run, and audit events."""
    run_logs.mkdir(exist_ok=True)
    log, reads = rolling_run(RUN, now - 5400)
    log.write(run_logs)
    lost = RunLog(LOST, now - 7200, "playbooks/reboot.yml")
    lost.play("Reboot", [host_name(0)], 1)
    lost.task("Reboot the instance", "fleetops.agents.instance_reboot")
    lost.put("runner_on_start", host=host_name(0), task="Reboot the instance", task_uuid=ident(1, 4))
    lost.write(run_logs)
    with open_store(path) as store:
        store.put_tenant(TENANT, now)
        done = fleet_rollout(FLEET, fleet, 2, now - 9000)
        store.put_rollouts([done, open_rollout(OPEN, fleet, now - 200, now - 5), *reads])
        store.put_cursor(Cursor("api", TENANT, last_ok_at=now))
        for number in range(4):
            cursor = Cursor("audit", f"{TENANT}|{ident(number, 0xB0)}", last_ok_at=now)
            events = [audit_row(TENANT, ident(number, 0xB0), e) for e in audit_events(number, 300, now)]
            total = 420 if number == 0 else 300
            figures = {"total_events": total, "success_events": total - 40, "error_events": 31,
                       "denied_events": 9, "by_source": {"mcp": total}}  # fmt: skip
            store.put_audit(events, summary_row(TENANT, ident(number, 0xB0), figures, now), cursor)
        sync_run_logs(store, run_logs, now=lambda: now)


def seed_big(path: Path, now: float, count: int = 20_000) -> None:
    """One finished rollout of 20,000 targets, 50 at a time, each on a different instance."""
    with open_store(path) as store:
        store.put_tenant(TENANT, now)
        store.put_rollouts([fleet_rollout(BIG, count, 50, now - 30000)])
        store.put_cursor(Cursor("api", TENANT, last_ok_at=now))
