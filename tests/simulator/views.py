# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The response bodies of the API, formatted as the reply knobs specify."""

from __future__ import annotations

from typing import Any

from tests.simulator.agents import actions_of
from tests.simulator.clock import iso
from tests.simulator.engine import Engine
from tests.simulator.fleet import Instance
from tests.simulator.policy import COMPONENTS, instance_policy
from tests.simulator.rollouts import Rollout, Target

SYNONYMS = {
    "queued": "pending",
    "in_progress": "running",
    "succeeded": "success",
    "failed": "error",
    "uncertain": "unknown",
    "cancelled": "revoked",
    "pending": "queued",
    "paused": "on_hold",
    "completed": "done",
    "partial": "completed_with_errors",
}


class Views:
    """Builds one response; created for each response, so that a changed knob takes effect at once."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.knobs = engine.knobs
        self._end = {"offset": "+00:00", "naive": "", "z": "Z"}[self.knobs.timestamps]
        self._plain = self._end == "+00:00"
        self._skew = self.knobs.clock_skew_s

    def moment(self, value: float | None) -> str | None:
        if value is None:
            return None
        text = iso(value + self._skew)
        return text if self._plain else text[:-6] + self._end

    def completed(self, value: float | None) -> str | None:
        if value is None and self.knobs.completed_at_empty == "text":
            return ""
        return self.moment(value)

    def word(self, status: str) -> str:
        words = self.knobs.status_words
        if words == "canonical":
            return status
        if words == "shouting":
            return status.upper().replace("_", " ")
        return (SYNONYMS if words == "synonyms" else words).get(status, status)  # type: ignore[union-attr]

    # rollouts

    def rollout(self, rollout: Rollout) -> dict[str, Any]:
        counts = rollout.counts
        return {
            "id": rollout.id,
            "scope": rollout.scope,
            "status": self.word(rollout.status),
            "created_at": self.moment(rollout.created_at),
            "completed_at": self.completed(rollout.completed_at),
            "initiated_from_ip": rollout.initiated_from_ip,
            "metadata_json": rollout.metadata,
            "total_targets": rollout.total,
            "queued_targets": counts["queued"],
            "in_progress_targets": counts["in_progress"],
            "succeeded_targets": counts["succeeded"],
            "failed_targets": counts["failed"],
            "uncertain_targets": counts["uncertain"],
        }

    def target(self, target: Target, rollout_status: str) -> dict[str, Any]:
        return {
            "id": target.id,
            "instance_id": target.instance.id,
            "rollout_id": target.rollout.id,
            "rollout_scope": target.rollout.scope,
            "rollout_status": rollout_status,
            "status": self.word(target.status),
            "last_result_status": target.last_result and self.word(target.last_result),
            "celery_task_id": None if self.knobs.celery_task_id_null else target.task_id,
            "bundle_hash": target.bundle_hash,
            "detail_json": {"attempts": target.attempts, "version": target.version},
            "error_message": target.error_message,
            "created_at": self.moment(target.created_at),
            "started_at": self.moment(target.started_at),
            "completed_at": self.completed(target.completed_at),
            "scheduled_countdown_seconds": target.countdown if target.status == "queued" else None,
        }

    def rollout_detail(self, rollout: Rollout) -> dict[str, Any]:
        status = self.word(rollout.status)
        targets = [self.target(target, status) for target in rollout.targets]
        return {"rollout": self.rollout(rollout), "targets": targets}

    def timeline(self, rollout: Rollout) -> dict[str, Any]:
        end = rollout.completed_at if rollout.completed_at is not None else self.engine.now
        return {
            "rollout_id": rollout.id,
            "scope": rollout.scope,
            "status": self.word(rollout.status),
            "created_at": self.moment(rollout.created_at),
            "completed_at": self.completed(rollout.completed_at),
            "total_targets": rollout.total,
            "total_duration_seconds": round(end - rollout.created_at, 3),
            "timeline": [self._timed(target) for target in rollout.targets],
        }

    def _timed(self, target: Target) -> dict[str, Any]:
        started, completed = target.started_at, target.completed_at
        return {
            "target_id": target.id,
            "instance_id": target.instance.id,
            "instance_hostname": target.instance.hostname,
            "status": self.word(target.status),
            "last_result_status": target.last_result and self.word(target.last_result),
            "error_message": target.error_message,
            "created_at": self.moment(target.created_at),
            "started_at": self.moment(started),
            "completed_at": self.completed(completed),
            "duration_seconds": None if started is None or completed is None else round(completed - started, 3),
            "scheduled_countdown_seconds": target.countdown if target.status == "queued" else None,
        }

    def rollouts(self, limit: int, offset: int) -> list[dict[str, Any]]:
        """E3: the rollouts that are already visible, newest first."""
        now = self.engine.now
        visible = [rollout for rollout in reversed(self.engine.rollouts.values()) if rollout.visible_at <= now]
        visible.sort(key=lambda rollout: rollout.created_at, reverse=True)
        return [self.rollout(rollout) for rollout in visible[offset : offset + limit]]

    def instance_rollouts(self, instance: Instance, limit: int, offset: int) -> list[dict[str, Any]]:
        now = self.engine.now
        visible = [target for target in reversed(instance.targets) if target.rollout.visible_at <= now]
        page = visible[offset : offset + limit]
        return [self.target(target, self.word(target.rollout.status)) for target in page]

    def enqueued(self, rollout: Rollout | None, skipped: int, total: int) -> dict[str, Any]:
        """E2. The API reference does not specify the form of a task, so a knob selects one of several."""
        targets = rollout.targets if rollout else []
        shape = self.knobs.tasks_shape
        tasks: list[Any] = []
        if shape == "ids":
            tasks = [{"instance_id": target.instance.id, "task_id": target.task_id} for target in targets]
        elif shape == "strings":
            tasks = [target.task_id for target in targets]
        elif shape == "foreign_keys":
            tasks = [{"celery": target.task_id, "agent": target.instance.hostname} for target in targets]
        elif shape == "rollout_id":
            tasks = [
                {"rollout_id": target.rollout.id, "target_id": target.id, "task_id": target.task_id}
                for target in targets
            ]
        message = f"{len(targets)} of {total} instances enqueued"
        return {"enqueued": len(targets), "skipped": skipped, "total": total, "message": message, "tasks": tasks}

    def bare(self, rollout: Rollout) -> Any:
        """The body of E5 to E8: the API reference shows null, but a real server may return an object."""
        if self.knobs.null_bodies == "object":
            return {"status": self.word(rollout.status), "rollout_id": rollout.id}
        return {} if self.knobs.null_bodies == "empty" else None

    # one instance

    def health(self, instance: Instance, row: dict[str, Any], cached: bool) -> dict[str, Any]:
        boot = row["host_boot"] if self.knobs.uptime_kind == "host" else row["process_boot"]
        return {
            "instance_id": instance.id,
            "status": row["status"],
            "subsystems": row["subsystems"],
            "uptime_seconds": round(max(0.0, row["checked_at"] - boot), 3),
            "checked_at": self.moment(row["checked_at"]),
            "cached": cached,
        }

    def action_row(self, row: dict[str, Any]) -> dict[str, Any]:
        """One item of E11."""
        status, completed, message, target = row["status"], row["completed_at"], row["message"], row["target"]
        if target is not None:
            done = {"succeeded": "completed", "failed": "failed", "uncertain": "timeout", "cancelled": "failed"}
            status, completed = done.get(target.status, "running"), target.completed_at
            message = target.error_message or message
        return {
            "action_id": row["action_id"],
            "action": row["action"],
            "status": status,
            "message": message,
            "detail": row["detail"],
            "created_at": self.moment(row["created_at"]),
            "completed_at": self.completed(completed),
            "duration_ms": None if completed is None else round((completed - row["created_at"]) * 1000),
        }

    def actions(self, instance: Instance, limit: int) -> dict[str, Any]:
        rows = actions_of(self.engine, instance)[::-1][:100]
        return {"actions": [self.action_row(row) for row in rows[:limit]], "total": len(rows)}

    def action_result(self, instance: Instance, row: dict[str, Any]) -> dict[str, Any]:
        answer = self.action_row(row)
        return {
            "action": answer["action"],
            "action_id": answer["action_id"],
            "instance_id": instance.id,
            "status": answer["status"],
            "message": answer["message"],
            "detail": answer["detail"],
            "duration_ms": answer["duration_ms"] or 0,
        }

    def memory(self, row: dict[str, Any]) -> dict[str, Any]:
        return {**row, "created_at": self.moment(row["created_at"])}

    def audit_event(self, row: dict[str, Any]) -> dict[str, Any]:
        return {**row, "event_ts": self.moment(row["event_ts"]), "ingested_at": self.moment(row["ingested_at"])}

    def updates(self, instance: Instance) -> dict[str, Any]:
        """E25, from the manifest of the health loop, which is up to manifest_lag_s old."""
        reported = self._reported_at(instance)
        components: dict[str, list[dict[str, Any]]] = {component: [] for component in COMPONENTS}
        for (component, slug), newest in self.engine.catalogue.newest.items():
            current = instance.version(component, slug, reported)
            outdated = current != newest
            components[component].append(
                {
                    "component_type": component,
                    "slug": slug,
                    "current_version": current,
                    "available_version": newest,
                    "has_update": outdated,
                    "update_reason": f"{newest} is published, {current} is running" if outdated else None,
                    "changelog": f"Changes of {slug} {newest}" if outdated else None,
                }
            )
        return {
            "instance_id": instance.id,
            "total_available": sum(row["has_update"] for rows in components.values() for row in rows),
            "versions_reported_at": self.moment(reported),
            "runtime": components["runtime"][0],
            "skills": components["skills"],
            "mcp_servers": components["mcp_servers"],
            "update_policy": instance_policy(self.engine.policy, instance.overrides),
        }

    def _reported_at(self, instance: Instance) -> float:
        lag, now = self.knobs.manifest_lag_s, self.engine.now
        if not lag:
            return now
        # The health loop checks the instances one after another.
        phase = self.engine.started + instance.index * 0.618 % 1 * lag
        return phase + (now - phase) // lag * lag
