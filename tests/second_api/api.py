# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The second API: its state, its 26 endpoints, and a server on a free port (``second_api(...)``)."""

from __future__ import annotations

import email.utils
import json
import re
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.http_server import QuietHandler, http_server

from .quirks import Quirks

KEY = "key-of-the-second-api"
OLD, NEW = "1.0.0", "1.1.0"
COUNTED = ("queued", "in_progress", "succeeded", "failed", "uncertain")
ID = r"[^/]+"
ROUTES = {
    "get_rollout_timeline": ("GET", rf"/fleet/runtime-rollouts/(?P<rollout>{ID})/timeline"),
    "start_fleet_rollout": ("POST", r"/fleet/runtime/rollout"),
    "list_fleet_rollouts": ("GET", r"/fleet/runtime/rollouts"),
    "get_rollout": ("GET", rf"/fleet/runtime/rollouts/(?P<rollout>{ID})"),
    "cancel_rollout": ("POST", rf"/fleet/runtime/rollouts/(?P<rollout>{ID})/cancel"),
    "pause_rollout": ("POST", rf"/fleet/runtime/rollouts/(?P<rollout>{ID})/pause"),
    "resume_rollout": ("POST", rf"/fleet/runtime/rollouts/(?P<rollout>{ID})/resume"),
    "retry_rollout_target": ("POST", rf"/fleet/runtime/rollouts/(?P<rollout>{ID})/targets/(?P<target>{ID})/retry"),
    "get_fleet_update_policy": ("GET", r"/fleet/updates/policy"),
    "set_fleet_update_policy": ("PATCH", r"/fleet/updates/policy"),
    "list_instance_actions": ("GET", rf"/(?P<instance>{ID})/actions"),
    "clear_circuit_breakers": ("POST", rf"/(?P<instance>{ID})/actions/clear-circuit-breakers"),
    "power_cycle": ("POST", rf"/(?P<instance>{ID})/actions/power-cycle"),
    "reboot": ("POST", rf"/(?P<instance>{ID})/actions/reboot"),
    "run_diagnostics": ("POST", rf"/(?P<instance>{ID})/actions/run-diagnostics"),
    "get_deep_health": ("GET", rf"/(?P<instance>{ID})/health/deep"),
    "list_memories": ("GET", rf"/(?P<instance>{ID})/memory"),
    "store_memory": ("POST", rf"/(?P<instance>{ID})/memory"),
    "clear_memories": ("DELETE", rf"/(?P<instance>{ID})/memory"),
    "list_audit_events": ("GET", rf"/(?P<instance>{ID})/runtime/audit"),
    "get_audit_summary": ("GET", rf"/(?P<instance>{ID})/runtime/audit/summary"),
    "redeploy_runtime": ("POST", rf"/(?P<instance>{ID})/runtime/redeploy"),
    "list_instance_rollouts": ("GET", rf"/(?P<instance>{ID})/runtime/rollouts"),
    "apply_all_updates": ("POST", rf"/(?P<instance>{ID})/updates/apply-all"),
    "get_available_updates": ("GET", rf"/(?P<instance>{ID})/updates/available"),
    "set_instance_update_policy": ("PATCH", rf"/(?P<instance>{ID})/updates/policy"),
}
_PATTERNS = [(name, method, re.compile("/v1/instances" + path)) for name, (method, path) in ROUTES.items()]


class Refused(Exception):
    """Ends a call with a status and a detail."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


class Instance:
    """One agent. Times are epoch seconds."""

    def __init__(self, number: int) -> None:
        self.id = str(uuid.uuid5(uuid.NAMESPACE_DNS, f"second-{number}"))
        self.hostname = f"agent-{number:03d}"
        self.booted = time.time() - 86400
        self.version: str | None = OLD
        self.skill_waits = False
        self.health = "healthy"
        self.policy: dict[str, Any] = {"runtime": None, "skills": None, "mcp_servers": None}
        self.memories: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.actions: list[dict[str, Any]] = []


class SecondApi:
    """The state of the API. ``calls`` contains every request; ``quirks`` may be changed at any time."""

    admin_key = KEY

    def __init__(self, instances: int, quirks: Quirks) -> None:
        self.quirks = quirks
        self.url = ""
        self.lock = threading.RLock()
        self.instances = [Instance(n + 1) for n in range(instances)]
        self.rollouts: list[dict[str, Any]] = []
        self.calls: list[dict[str, Any]] = []
        self.policy: dict[str, Any] = {
            "maintenance_window_start_hour_utc": 0,
            "maintenance_window_end_hour_utc": 0,
            "max_parallel_rollouts": 2,
            "runtime_default": "notify",
            "skills_default": "notify",
            "mcp_servers_default": "notify",
        }

    # For tests

    def environment(self) -> dict[str, str]:
        """The environment variables that a client process needs."""
        return {"FLEETOPS_API_URL": self.url + self.quirks.base_path, "FLEETOPS_API_KEY": KEY}

    def called(self, operation: str) -> list[dict[str, Any]]:
        """The calls of one endpoint, in order."""
        with self.lock:
            return [call for call in self.calls if call["operation"] == operation]

    def writes(self) -> list[str]:
        """The operations that were not GET, in order."""
        with self.lock:
            return [call["operation"] for call in self.calls if call["method"] != "GET"]

    def instance(self, name: str) -> Instance:
        """The instance with this host name or id, ignoring case."""
        for agent in self.instances:
            if name.lower() in (agent.id, agent.hostname):
                return agent
        raise Refused(404, "Instance not found")

    def add_rollout(self, members: list[Instance], scope: str, *, ended: bool = False, at: float | None = None) -> dict:
        """Add a rollout of these instances, created now or at ``at``; with ``ended`` it has already succeeded."""
        now = time.time() if at is None else at
        row: dict[str, Any] = {"id": str(uuid.uuid4()), "scope": scope, "created": now, "listed": now, "flag": ""}
        row["targets"] = [
            {
                "id": str(uuid.uuid4()),
                "instance": agent,
                "task": str(uuid.uuid4()),
                "created": now,
                "ends": now if ended else now + self.quirks.deploy_seconds,
                "result": "succeeded" if ended else self.quirks.outcomes.get(agent.hostname, "succeeded"),
                "flag": "",
            }
            for agent in members
        ]
        if not ended:
            row["listed"] += self.quirks.list_lag
        with self.lock:
            self.rollouts.append(row)
        return row

    # Statuses, times and rows

    def _time(self, at: float | None) -> Any:
        if at is None:
            return None
        return self.quirks.time(at) if self.quirks.time else datetime.fromtimestamp(at, UTC).isoformat()

    def _word(self, word: str) -> str:
        return self.quirks.words.get(word, word)

    def _status(self, target: dict[str, Any]) -> str:
        if target["flag"]:
            return target["flag"]
        if time.time() < target["ends"]:
            return "in_progress"
        if target["result"] == "succeeded" and not target.get("applied"):
            target["applied"] = True
            target["instance"].version = NEW
            target["instance"].booted = max(target["instance"].booted, target["ends"])
        return target["result"]

    def _rollout_status(self, row: dict[str, Any]) -> str:
        words = [self._status(target) for target in row["targets"]]
        if row["flag"]:
            return row["flag"]
        if "in_progress" in words:
            return "in_progress"
        if all(word == "succeeded" for word in words):
            return "completed"
        return "partial" if "succeeded" in words else "failed"

    def _rollout(self, row: dict[str, Any]) -> dict[str, Any]:
        words = [self._status(target) for target in row["targets"]]
        done = "in_progress" not in words and row["flag"] != "paused"
        counters = {
            f"{w}_targets": words.count(w) for w in ("queued", "in_progress", "succeeded", "failed", "uncertain")
        }
        ends = max((target["ends"] for target in row["targets"]), default=row["created"])
        return {
            "id": row["id"],
            "scope": row["scope"],
            "status": self._word(self._rollout_status(row)),
            "created_at": self._time(row["created"]),
            "completed_at": self._time(ends) if done else None,
            "initiated_from_ip": "192.0.2.1",
            "metadata_json": {},
            "total_targets": len(words),
            **counters,
        }

    def _target(self, row: dict[str, Any], target: dict[str, Any]) -> dict[str, Any]:
        word = self._status(target)
        return {
            "id": target["id"],
            "instance_id": target["instance"].id,
            "rollout_id": row["id"],
            "rollout_scope": row["scope"],
            "rollout_status": self._word(self._rollout_status(row)),
            "status": self._word(word),
            "last_result_status": None if word == "in_progress" else self._word(word),
            "celery_task_id": target["task"],
            "bundle_hash": f"bundle-{NEW}",
            "detail_json": {},
            "error_message": "the bundle did not start" if word == "failed" else None,
            "created_at": self._time(target["created"]),
            "started_at": self._time(target["created"]),
            "completed_at": None if word == "in_progress" else self._time(target["ends"]),
            "scheduled_countdown_seconds": 0,
        }

    def _page(self, operation: str, rows: list[Any], query: dict[str, str], default: int) -> list[Any]:
        """A page of rows, which are given newest first."""
        rows = rows[::-1] if operation in self.quirks.oldest_first else rows
        limit = min(int(query.get("limit", default)), self.quirks.page_cap.get(operation, 10**9))
        offset = int(query.get("offset", 0))
        return rows[offset : offset + limit]

    def _listed(self) -> list[dict[str, Any]]:
        now = time.time()
        return sorted((r for r in self.rollouts if r["listed"] <= now), key=lambda r: -r["created"])

    def _rollout_of(self, rollout: str) -> dict[str, Any]:
        for row in self.rollouts:
            if row["id"] == rollout.lower():
                return row
        raise Refused(404, "Rollout not found")

    def _task(self, target: dict[str, Any]) -> Any:
        return self.quirks.task_id(target["task"]) if self.quirks.task_id else target["task"]

    # The endpoints, by operationId

    def get_rollout_timeline(self, rollout: str, **_call: Any) -> Any:
        row = self._rollout_of(rollout)
        keep = ("instance_id", "status", "last_result_status", "error_message", "created_at", "started_at")
        timeline = []
        for target in row["targets"]:
            shown = self._target(row, target)
            timeline.append(
                {name: shown[name] for name in (*keep, "completed_at", "scheduled_countdown_seconds")}
                | {"target_id": shown["id"], "instance_hostname": target["instance"].hostname}
                | {"duration_seconds": None if shown["completed_at"] is None else target["ends"] - target["created"]}
            )
        shown = self._rollout(row)
        return {
            **{name: shown[name] for name in ("scope", "status", "created_at", "completed_at", "total_targets")},
            "rollout_id": row["id"],
            "total_duration_seconds": 0,
            "timeline": timeline,
        }

    def start_fleet_rollout(self, **_call: Any) -> Any:
        row = self.add_rollout(self.instances, "fleet")
        tasks = [{"instance_id": t["instance"].id, "task_id": self._task(t)} for t in row["targets"]]
        return {"enqueued": len(tasks), "skipped": 0, "total": len(tasks), "message": "started", "tasks": tasks}

    def list_fleet_rollouts(self, query: dict[str, str], **_call: Any) -> Any:
        return self._page("list_fleet_rollouts", [self._rollout(row) for row in self._listed()], query, 20)

    def get_rollout(self, rollout: str, **_call: Any) -> Any:
        row = self._rollout_of(rollout)
        return {"rollout": self._rollout(row), "targets": [self._target(row, target) for target in row["targets"]]}

    def cancel_rollout(self, rollout: str, **_call: Any) -> Any:
        self._rollout_of(rollout)["flag"] = "cancelled"

    def pause_rollout(self, rollout: str, **_call: Any) -> Any:
        self._rollout_of(rollout)["flag"] = "paused"

    def resume_rollout(self, rollout: str, **_call: Any) -> Any:
        self._rollout_of(rollout)["flag"] = ""

    def retry_rollout_target(self, rollout: str, target: str, **_call: Any) -> Any:
        for row in self._rollout_of(rollout)["targets"]:
            if row["id"] == target:
                row.update(task=str(uuid.uuid4()), ends=time.time() + self.quirks.deploy_seconds, result="succeeded")

    def get_fleet_update_policy(self, **_call: Any) -> Any:
        return {**self.policy, **self.quirks.policy}

    def set_fleet_update_policy(self, body: dict[str, Any], **_call: Any) -> Any:
        self.policy.update(body)
        return {**self.policy, **self.quirks.policy}

    def list_instance_actions(self, instance: str, query: dict[str, str], **_call: Any) -> Any:
        rows = self.instance(instance).actions[::-1]
        return {"actions": self._page("list_instance_actions", rows, query, 20), "total": len(rows)}

    def _acted(self, instance: str, action: str) -> Any:
        agent = self.instance(instance)
        row = {"action": action, "action_id": str(uuid.uuid4()), "status": self._word("completed")}
        agent.actions.append({**row, "created_at": self._time(time.time())})
        return {**row, "instance_id": agent.id, "message": "done", "detail": {}, "duration_ms": 1}

    def clear_circuit_breakers(self, instance: str, **_call: Any) -> Any:
        return self._acted(instance, "clear-circuit-breakers")

    def power_cycle(self, instance: str, **_call: Any) -> Any:
        self.instance(instance).booted = time.time()
        return self._acted(instance, "power-cycle")

    def reboot(self, instance: str, **_call: Any) -> Any:
        self.instance(instance).booted = time.time()
        return self._acted(instance, "reboot")

    def run_diagnostics(self, instance: str, **_call: Any) -> Any:
        return self.get_deep_health(instance, {"force": "true"})

    def get_deep_health(self, instance: str, query: dict[str, str], **_call: Any) -> Any:
        agent, now = self.instance(instance), time.time()
        for row in self.rollouts:
            for target in row["targets"]:
                self._status(target)
        return {
            "instance_id": agent.id,
            "status": self._word(agent.health),
            "subsystems": {},
            "uptime_seconds": now - agent.booted,
            "checked_at": self._time(now),
            "cached": query.get("force") != "true",
        }

    def list_memories(self, instance: str, query: dict[str, str], **_call: Any) -> Any:
        agent = self.instance(instance)
        asked = {k: query[k] for k in ("conversation_id", "customer_id") if k in query}
        rows = [m for m in agent.memories if all(m.get(k) == v for k, v in asked.items())][::-1]
        rows = self._page("list_memories", rows, query, 100)
        return {"instance_id": agent.id, "count": len(rows), "memories": rows, "status": {}}

    def store_memory(self, instance: str, body: dict[str, Any], **_call: Any) -> Any:
        memory = {"id": str(uuid.uuid4()), **body}
        self.instance(instance).memories.append(memory)
        return {"instance_id": self.instance(instance).id, "memory": memory, "status": "stored"}

    def clear_memories(self, instance: str, body: dict[str, Any], **_call: Any) -> Any:
        agent = self.instance(instance)
        kept = [m for m in agent.memories if body and not all(m.get(k) == v for k, v in body.items())]
        deleted, agent.memories = len(agent.memories) - len(kept), kept
        return {"instance_id": agent.id, "deleted": deleted, "status": "cleared"}

    def list_audit_events(self, instance: str, query: dict[str, str], **_call: Any) -> Any:
        return self._page("list_audit_events", self.instance(instance).events[::-1], query, 100)

    def add_events(self, instance: str, number: int, outcome: str = "success") -> None:
        """Add ``number`` audit events, one second apart, the newest now."""
        now = time.time()
        for n in range(number):
            at = now - number + n + 1
            event = {"id": str(uuid.uuid4()), "event_id": str(uuid.uuid4()), "event_ts": self._time(at)}
            event |= {"ingested_at": self._time(at), "event_type": "tool_call", "outcome": outcome, "role": "agent"}
            event |= {"source": "runtime", "server_slug": None, "tool_name": None, "conversation_id": None}
            self.instance(instance).events.append({**event, "request_id": None, "metadata_json": {}})

    def get_audit_summary(self, instance: str, **_call: Any) -> Any:
        words = [event["outcome"] for event in self.instance(instance).events]
        counted = {f"{word}_events": words.count(word) for word in ("success", "error", "denied")}
        return {"total_events": len(words), **counted, "by_source": {"runtime": len(words)}}

    def redeploy_runtime(self, instance: str, **_call: Any) -> Any:
        agent = self.instance(instance)
        row = self.add_rollout([agent], "instance")
        task = self._task(row["targets"][0])
        return {"instance_id": agent.id, "status": "accepted", "message": "queued", "task_id": task}

    def list_instance_rollouts(self, instance: str, query: dict[str, str], **_call: Any) -> Any:
        agent = self.instance(instance)
        rows = [self._target(row, t) for row in self._listed() for t in row["targets"] if t["instance"] is agent]
        return self._page("list_instance_rollouts", rows, query, 20)

    def apply_all_updates(self, instance: str, **_call: Any) -> Any:
        agent = self.instance(instance)
        skills, agent.skill_waits = (["search"] if agent.skill_waits else []), False
        task = self._task(self.add_rollout([agent], "instance")["targets"][0]) if agent.version != NEW else None
        return {"instance_id": agent.id, "message": "applied", "runtime_task_id": task, "skills_applied": skills}

    def get_available_updates(self, instance: str, **_call: Any) -> Any:
        agent = self.instance(instance)
        for row in self.rollouts:
            for target in row["targets"]:
                self._status(target)

        def component(kind: str, slug: str, current: str | None, waits: bool) -> dict[str, Any]:
            row = {"component_type": kind, "slug": slug, "current_version": current, "available_version": NEW}
            return {**row, "has_update": waits, "update_reason": "newer" if waits else None, "changelog": None}

        runtime = component("runtime", "runtime", agent.version, agent.version != NEW)
        skills = [component("skill", "search", OLD if agent.skill_waits else NEW, agent.skill_waits)]
        return {
            "instance_id": agent.id,
            "runtime": runtime,
            "skills": skills,
            "mcp_servers": [],
            "total_available": runtime["has_update"] + agent.skill_waits,
            "versions_reported_at": self._time(time.time()),
            "update_policy": self._instance_policy(agent),
        }

    def _instance_policy(self, agent: Instance) -> dict[str, Any]:
        shown: dict[str, Any] = {}
        for name, override in agent.policy.items():
            shown[name] = override or self.policy[f"{name}_default"]
            shown[f"{name}_override"] = override
            shown[f"{name}_source"] = "instance" if override else "tenant_default"
            shown[f"{name}_auto_supported"] = name == "runtime"
        return shown

    def set_instance_update_policy(self, instance: str, body: dict[str, Any], **_call: Any) -> Any:
        agent = self.instance(instance)
        agent.policy.update({name.removesuffix("_override"): value for name, value in body.items()})
        return self._instance_policy(agent)

    # One request

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[str, int, Any]:
        """The operation ("" if unknown), the status and the body of a request."""
        matches = ((name, pattern.fullmatch(path)) for name, verb, pattern in _PATTERNS if verb == method)
        name, match = next(((name, match) for name, match in matches if match), ("", None))
        if match is None:
            return "", 404, {"detail": "Not Found"}
        call = {"operation": name, "method": method, "path": path, "query": query, "body": body, "at": time.time()}
        with self.lock:
            self.calls.append(call | {"instance": match.groupdict().get("instance")})
        time.sleep(self.quirks.latency.get(name, self.quirks.latency.get("*", 0.0)))
        with self.lock:
            if name in self.quirks.status:
                return (
                    name,
                    self.quirks.status[name],
                    {"detail": self.quirks.detail.get(name, f"{name} answers with an error")},
                )
            if name in self.quirks.refused:
                return name, 200, self.quirks.refused[name]
            try:
                usual = getattr(self, name)(query=query, body=body or {}, **match.groupdict())
            except Refused as refused:
                return name, refused.status, {"detail": refused.detail}
            usual = self._spelled(name, usual)
            change = self.quirks.answers.get(name, usual)
            return name, 200, change(usual) if callable(change) else change

    def _spelled(self, operation: str, body: Any) -> Any:
        spell = self.quirks.spell_id.get(operation)
        if spell is None:
            return body
        if isinstance(body, dict):
            return {
                key: spell(value) if key == "instance_id" else self._spelled(operation, value)
                for key, value in body.items()
            }
        return [self._spelled(operation, item) for item in body] if isinstance(body, list) else body


@contextmanager
def second_api(instances: int = 3, **quirks: Any) -> Iterator[SecondApi]:
    """Serve a second API until the block ends. It has one fleet rollout, which ended an hour ago."""
    api = SecondApi(instances, Quirks(**quirks))
    if instances:
        api.add_rollout(api.instances, "fleet", ended=True, at=time.time() - 3600)
        for row in api.rollouts[0]["targets"]:
            row["applied"] = True

    class Handler(QuietHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            base = api.quirks.base_path
            query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            name = ""
            gateway = api.quirks.gateway
            if gateway and self.headers.get(gateway[0]) != gateway[1]:
                status, body = 403, {"detail": f"Refused by the gateway: {self.headers.get(gateway[0])}"}
            elif self.headers.get("X-Api-Key") != KEY:
                status, body = 401, {"detail": "Invalid API key"}
            elif not parts.path.startswith(base):
                status, body = 404, {"detail": "Not Found"}
            else:
                path = parts.path.removeprefix(base)
                name, status, body = api.answer(self.command, path, query, json.loads(sent or b"null"))
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response_only(status)
            self.send_header("Date", email.utils.formatdate(time.time() + api.quirks.date_skew, usegmt=True))
            for header, value in {"Content-Type": "application/json", **api.quirks.headers}.items():
                self.send_header(header, value)
            self.send_header("Content-Length", str(len(content)))
            head = b"".join(self._headers_buffer) + b"\r\n"
            self._headers_buffer = []
            for part, pauses in ((head, api.quirks.drip_head), (content, api.quirks.drip)):
                self._write(part, pauses.get(name, pauses.get("*")))

        def _write(self, content: bytes, pause: float | None) -> None:
            """Write at once, or byte by byte with a pause in seconds after each byte."""
            if pause is None:
                self.wfile.write(content)
                return
            for position in range(len(content)):
                self.wfile.write(content[position : position + 1])
                self.wfile.flush()
                time.sleep(pause)

        do_GET = do_POST = do_PATCH = do_DELETE = _serve

    with http_server(Handler) as api.url:
        yield api
