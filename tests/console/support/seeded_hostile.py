# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A database in which every text from a server, a playbook or a person contains markup, created as by sync."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from console.collect.api.records import action_rows, audit_row, health_rows, policy_row, summary_row, update_rows
from console.collect.run_logs import sync_run_logs
from console.record.rows import Cursor, InstanceRows, RolloutRead
from console.record.write.ledgers import open_ledger
from console.record.write.store import open_store
from tests.console.support.seeded import TENANT, RunLog, ident, iso, rollout_read, target

TOKEN = "hxq-"
# Markup of HTML, Markdown with Streamlit's directives, LaTeX and Plotly; a character that reverses the text after it.
MARKUP = (
    '<b>b</b><img src="x" onerror="window.hit=1"><script>window.hit=1</script><a href="javascript:window.hit=1">j</a>'
    " [m](https://203.0.113.9/m) ![i](http://203.0.113.9/i.png) $x^2$ :material/bolt: :red[r] :green-badge[succeeded]"
    " :smile: **s** `c` %{y}\u202e"
)
BEFORE, NOW, RUN, INSTANCE = ident(1, 0x4A), ident(2, 0x4B), ident(3, 0x4C), ident(1, 0xB0)


def hostile(field: str) -> str:
    """The text for ``field``, different for each field."""
    return f"{TOKEN}{field}{MARKUP}"


def seed_hostile(path: Path, run_logs: Path, now: float) -> None:
    """Two fleet rollouts, a run that started the later one, details and audit of an instance, and a console action."""
    _run(now).write(run_logs)
    with open_store(path) as store:
        store.put_tenant(TENANT, now)
        store.put_rollouts([_rollout(BEFORE, now - 9000, "a"), _rollout(NOW, now - 3000, "b")])
        store.put_cursor(Cursor("api", TENANT, last_ok_at=now))
        store.put_policy(policy_row(TENANT, _policy(1), now - 5000))
        store.put_policy(policy_row(TENANT, _policy(2), now))
        for kind, rows in _details(now).items():
            store.put_instance(rows, Cursor(kind, f"{TENANT}|{INSTANCE}", last_ok_at=now))
        words = ("source", "event_type", "outcome", "role", "tool_name", "server_slug")
        events = [
            {"id": f"e{n}", "event_ts": iso(now - 600 * n), **{word: hostile(word) for word in words}} for n in range(3)
        ]
        figures = {"total_events": 4, "success_events": 1, "by_source": {hostile("source"): 4}}
        store.put_audit(
            [audit_row(TENANT, INSTANCE, event) for event in events],
            summary_row(TENANT, INSTANCE, figures, now),
            Cursor("audit", f"{TENANT}|{INSTANCE}", last_ok_at=now),
        )
        sync_run_logs(store, run_logs, now=lambda: now)
    with open_ledger(path) as ledger:
        fields = ("user", "name", "reason")
        attempt = {"attempt_id": ident(7), "at": now, "action": "pause", "rollout_id": NOW, "targets": 1, "force": 0}
        ledger.begin({**attempt, **{field: hostile(field) for field in fields}})
        answer = {"detail": hostile("detail"), "request_id": hostile("request")}
        ledger.end({"attempt_id": ident(7), "at": now, "outcome": "failed", **answer})


def _rollout(rollout_id: str, created: float, letter: str) -> RolloutRead:
    def one(number: int, status: str, **more: Any) -> dict[str, Any]:
        words = {"instance_hostname": hostile(f"host{number}"), "bundle_hash": hostile("bundle"), **more}
        return target(number, rollout_id, status, created, created + 5, created + 60 + 9 * number, **words)

    targets = [
        one(1, "failed", error_message=hostile(f"error{letter}")),
        one(2, hostile("status"), last_result_status=hostile("result")),
        one(3, "succeeded", bundle_hash=hostile("drift")),
        one(4, "succeeded", started_at=hostile("time")),
    ]
    return rollout_read(rollout_id, targets, "partial", created, created + 100, initiated_from_ip=hostile("ip"))


def _run(now: float) -> RunLog:
    log = RunLog(RUN, now - 3010, hostile("playbook"))
    # The first line describes the run.
    for name, old in (("user", '"ops"'), ("controller", '"control-1"')):
        text = hostile(name).replace('"', '\\"')
        log.lines[0] = log.lines[0].replace(f'"{name}": {old}', f'"{name}": "{text}"')
    log.play(hostile("play"), [hostile("host1"), hostile("host2")], 1)
    log.task(hostile("task"), hostile("module"))
    log.result(hostile("host1"), "failed", 4.0, msg=hostile("msg"), rollout_id=NOW, failed=True)
    log.result(hostile("host2"), "ok", 4.0, changed=True)
    log.stats({hostile("host1"): {"failures": 1}, hostile("host2"): {"ok": 1, "changed": 1}})
    return log


def _policy(number: int) -> dict[str, Any]:
    defaults = ("runtime_default", "skills_default", "mcp_servers_default")
    hours = {"maintenance_window_start_hour_utc": 1, "maintenance_window_end_hour_utc": 2}
    return {**hours, "max_parallel_rollouts": number, **{name: hostile(f"{name}{number}") for name in defaults}}


def _details(now: float) -> dict[str, InstanceRows]:
    sick = {"status": hostile("health"), "checked_at": iso(now - 60), "subsystems": {hostile("part"): "unhealthy"}}
    waits = {"current_version": hostile("version"), "available_version": hostile("newer"), "has_update": True}
    versions = {
        "runtime": {"component_type": "runtime", "slug": "runtime", **waits},
        "skills": [{"component_type": "skills", "slug": hostile("slug"), **waits}],
        "total_available": 2,
    }
    acted = {
        "action_id": ident(1, 0xC0),
        "created_at": iso(now - 2990),
        **{word: hostile(word) for word in ("action", "status", "message", "actor")},
    }
    return {
        "health": health_rows(TENANT, INSTANCE, sick, now),
        "updates": update_rows(TENANT, INSTANCE, versions, now),
        "actions": InstanceRows(actions=action_rows(TENANT, INSTANCE, {"actions": [acted]})),
    }
