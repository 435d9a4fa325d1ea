# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Converts the events of a job, which are the same in AWX and ansible-runner, to those of the run log. Pure.

The run log keeps less of a result than ansible-runner, and records more about a play. So the run log's own rule decides
what is kept of a result, and the hosts of a batch are those that have events in it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from ansible_collections.fleetops.agents.plugins.module_utils._client.redact import Redactor
from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import parse_time
from ansible_collections.fleetops.agents.plugins.plugin_utils._run_log.evidence import evidence_of
from ansible_collections.fleetops.agents.plugins.plugin_utils._run_log.results import storable_result
from console.collect.jobs.job import Job
from console.collect.run_events import RunReader, host_of, parts_of
from console.collect.task_results import MAX_RESULT
from console.record.rows import RunRows, to_json

# Events that contain a result. In ansible-runner, runner_on_skipped contains one too, but not in the run log.
_WITH_RESULT = frozenset(
    {f"runner_on_{end}" for end in ("ok", "failed", "unreachable")}
    | {f"runner_item_on_{end}" for end in ("ok", "failed", "skipped")}
    | {"runner_retry"}
)
_OTHER_HOSTS = ("start", "skipped", "error", "no_hosts", "async_poll", "async_ok", "async_failed", "file_diff")
_OTHER_PLAYBOOK = (
    "start", "play_start", "task_start", "notify", "include", "stats", "no_hosts_matched", "no_hosts_remaining",
    "vars_prompt", "setup", "import_for_host", "not_import_for_host",
)  # fmt: skip
KNOWN = (
    _WITH_RESULT
    | {f"runner_on_{end}" for end in _OTHER_HOSTS}
    | {f"playbook_on_{end}" for end in _OTHER_PLAYBOOK}
    | {"verbose", "debug", "warning", "deprecated", "system_warning", "error"}
)
# An error of Ansible outside of a task, in its output: [ERROR]: or, before ansible-core 2.19, ERROR! or ERROR:
_ERROR = re.compile(r"^(?:\x1b\[[\d;]*m)?(?:\[ERROR\]:|ERROR[!:]) *([^\x1b\n]+)", re.MULTILINE)


def as_run_log(event: Any, redactor: Redactor) -> Any:
    """One event of AWX or ansible-runner as the run log would have written it; anything else is returned unchanged."""
    if not isinstance(event, Mapping) or not isinstance(event.get("event_data"), Mapping):
        return event
    name, data = event.get("event"), dict(event["event_data"])
    if name == "runner_on_skipped":
        data.pop("res", None)
    elif name in _WITH_RESULT and isinstance(data.get("res"), Mapping):
        action = data.get("resolved_action") or data.get("task_action")
        if found := evidence_of(str(name), action, data["res"], MAX_RESULT, redactor):
            data["fleetops_evidence"] = found
        data["res"] = storable_result(data["res"], str(name), MAX_RESULT, redactor)
    elif name == "playbook_on_task_start":
        # ansible-runner sets this for handlers only.
        data["is_handler"] = bool(data.get("is_conditional"))
    return {**event, "event_data": data}


class JobReader(RunReader):
    """Reads the events of one job. ``unknown``: how many events of unknown kinds it has, by name."""

    def __init__(self, job: Job, *, state: Mapping[str, Any] | None, redactor: Redactor) -> None:
        source_ref = job.row["url"] or job.row["name"]
        super().__init__(job.key, source=job.source, source_ref=source_ref, state=state, redactor=redactor)
        self.unknown: Counter[str] = Counter()

    def feed(self, event: Any) -> bool:
        parts_of(event)
        event = self._timed(as_run_log(event, self._redactor))
        if event["event"] == "playbook_on_play_start":
            self._close_batch()
        if not super().feed(event):
            return False
        name, data = event["event"], event.get("event_data")
        if name not in KNOWN:
            self.unknown[name[:60]] += 1
        if "first_play" not in self.state and (found := _ERROR.search(str(event.get("stdout") or ""))):
            self.state.setdefault("error", self._redactor.scrub(found[1]))
        if name == "playbook_on_start":
            # As in the run log: the container and Ansible start before it.
            self.run["started_at"] = parse_time(event.get("created")) or self.run["started_at"]
        if name == "playbook_on_play_start":
            self.state["batch"] = batch = dict(self._rows.plays[-1])
            self.state["batch_hosts"] = {}
            # The callback's record of the same run has it too.
            self.state.setdefault("first_play", batch["play_uuid"])
        elif name.startswith("runner_") and isinstance(data, Mapping) and "batch_hosts" in self.state:
            host = host_of(event, data)
            self.state["batch_hosts"] |= {host: True} if host else {}
        return True

    def _timed(self, event: Any) -> Any:
        """The event, without times that belong to another task.

        If a task was never started on the host (a meta task), ansible-runner gives its result the start time of the
        previous task of the host.
        """
        data = event.get("event_data") if isinstance(event, Mapping) else None
        if not isinstance(data, Mapping) or not data.get("host") or not data.get("task_uuid"):
            return event
        started = self.state.setdefault("announced", {})
        host, task = str(data["host"]), str(data["task_uuid"])
        if event.get("event") == "runner_on_start":
            started[host] = task
        elif "start" in data and started.get(host) != task:
            return {**event, "event_data": {**data, "start": None, "end": None, "duration": None}}
        return event

    def take(self) -> RunRows:
        self._close_batch()
        return super().take()

    def _close_batch(self) -> None:
        """Add the row of the current batch again if more of its hosts were seen since it was last added."""
        hosts, batch = self.state.get("batch_hosts"), self.state.get("batch", {})
        if hosts and len(hosts) != batch["hosts"]:
            batch["hosts"] = len(hosts)
            self._rows.plays.append({**batch, "hosts_json": to_json(sorted(hosts))})

    def settle(self, job: Job) -> None:
        """Add the job's data to the run's row, except for the status of a running job if the run's end was read."""
        run = self.run
        run |= job.run
        run["playbook"] = run["playbook"] or job.row["playbook"]
        if run["started_at"] is None:
            run["started_at"] = job.row["started_at"]
        if job.artifacts and run.get("stats_json", "stored") is None:
            self._take_artifacts(job.artifacts)
        if job.ended:
            self.state["ended"] = True
            run["ended_at"] = run["ended_at"] or job.row["finished_at"] or run["heartbeat_at"]
        if job.ended or not self.ended:
            run["status"] = job.row["status"]
