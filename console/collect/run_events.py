# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Converts one run's events to rows. Pure. Events have ansible-runner's format, so one reader serves all sources.

Feed a RunReader the events of one run in the order of their counters, then ``take()`` the rows. Its ``state``, plain
data that can be stored as JSON, is all that another process needs to continue later.

Batches are distinguished by counter: a result belongs to the newest play start before it, and to the newest start of
its task. Uuids are not enough: they are repeated (or get ``_2`` appended) in every batch of a play, and a result's
parent_uuid is the task of the first batch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.fleetops.agents.plugins.module_utils._client.redact import Redactor
from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import count, number, parse_time, whole
from ansible_collections.fleetops.agents.plugins.plugin_utils._run_log.artifacts import cut_artifacts
from ansible_collections.fleetops.agents.plugins.plugin_utils._run_log.evidence import EVIDENCE_KINDS
from console.collect.check_modes import add_result, new_modes
from console.collect.task_results import MAX_RESULT, TROUBLE, item_of, kept_part, message_of, references
from console.record.rows import PREDICTED, Row, RunRows, as_text, to_json
from console.text.json_values import mapping
from console.text.message_fingerprint import FP_VERSION, fingerprint

# Event -> (kind, status).
_RESULTS = {
    "runner_on_ok": ("result", "ok"),
    "runner_on_failed": ("result", "failed"),
    "runner_on_unreachable": ("result", "unreachable"),
    "runner_on_skipped": ("result", "skipped"),
    "runner_item_on_ok": ("item", "ok"),
    "runner_item_on_failed": ("item", "failed"),
    "runner_item_on_skipped": ("item", "skipped"),
    "runner_retry": ("retry", "retry"),
}
# The columns of a run that are NULL until an event sets them.
_FROM_EVENTS = (
    "controller", "user", "playbook", "check_mode", "diff_mode", "limit_pattern", "tags_json", "skip_tags_json",
    "forks", "ansible_version", "python_version", "collection_version", "job_id", "started_at", "ended_at",
    "heartbeat_at", "stats_json", "meta_json",
)  # fmt: skip
_TOO_MANY = 2**31
# The playbook of an ad-hoc command (ansible -m), as Ansible names it.
_AD_HOC = "__adhoc_playbook__"
_BATCH_SUFFIX = re.compile(r"_\d+$")


class EventError(ValueError):
    """A line is not an event. The message says why."""


class RunReader:
    """Reads the events of one run. ``run_id`` is in the key of all its rows; ``source`` is callback, runner or awx.

    ``ahead``: by how many seconds the writer's clock was ahead; all times are corrected by it. It is kept in the state,
    as is ``missing``: the first and the last counter of each gap.
    """

    def __init__(
        self,
        run_id: str,
        *,
        source: str,
        source_ref: str | None = None,
        state: Mapping[str, Any] | None = None,
        redactor: Redactor | None = None,
        ahead: float = 0.0,
    ) -> None:
        self.run_id = run_id
        self.state: dict[str, Any] = dict(state) if state else _new_state(run_id, source, source_ref, ahead)
        self._redactor = redactor or Redactor()
        self._rows = RunRows(run={})

    @property
    def run(self) -> Row:
        return self.state["run"]

    @property
    def ended(self) -> bool:
        """Whether the end of the run (its recap) has been read."""
        return bool(self.state["ended"])

    def feed(self, event: Any) -> bool:
        """Read one event. Returns False, and ignores it, if it was read before. Raises EventError, and changes nothing,
        if it is not an event."""
        counter, name, data = parts_of(event)
        if not self._is_new(counter):
            return False
        created = self._time(event.get("created"))
        run = self.run
        run["events"] += 1
        # Counters that were never read, and events that the writer reports as not written.
        self.state["unwritten"] = max(self.state["unwritten"], whole(event.get("dropped_events")) or 0)
        dropped = max(0, run["last_counter"] - run["events"]) + self.state["unwritten"]
        run["dropped_events"] = min(dropped, _TOO_MANY)
        if created is not None:
            run["heartbeat_at"] = max(created, run["heartbeat_at"] or created)
            if run["started_at"] is None:
                run["started_at"] = created
        if name in _RESULTS:
            self._result(counter, name, event, data, created)
        elif name == "runner_on_start":
            self._start(counter, event, data, created)
        elif name == "playbook_on_start":
            self._begin(data)
        elif name == "playbook_on_play_start":
            self._play(counter, data, created)
        elif name == "playbook_on_task_start":
            self._task(counter, data, created)
        elif name == "playbook_on_stats":
            self._stats(data)
        elif name == "fleetops_refused":
            self._refused(counter, event, data, created)
        return True

    def _is_new(self, counter: int) -> bool:
        """Whether no event with this counter was read before. Records that one is read now."""
        missing: list[list[int]] = self.state.setdefault("missing", [])
        last = self.run["last_counter"]
        if counter > last:
            if counter > last + 1:
                missing.append([last + 1, counter - 1])
            self.run["last_counter"] = counter
            return True
        for place, (first, end) in enumerate(missing):
            if first <= counter <= end:
                parts = [first, counter - 1], [counter + 1, end]
                missing[place : place + 1] = [part for part in parts if part[0] <= part[1]]
                return True
        return False

    def corrected(self, at: float | None) -> float | None:
        """A time of the writer's clock, corrected by ``ahead``."""
        return None if at is None else at - float(self.state.get("ahead", 0.0))

    def _time(self, value: Any) -> float | None:
        return self.corrected(parse_time(value))

    def take(self) -> RunRows:
        """The rows since the previous call, with the current row of the run."""
        rows, self._rows = self._rows, RunRows(run={})
        rows.run = dict(self.run)
        # It may be long, and is not needed to continue: later rows do not have it, so that the stored one is kept.
        if self.run.get("stats_json"):
            del self.run["stats_json"]
        rows.in_flight = [
            {"run_id": self.run_id, "host": host, "counter": counter, "task_counter": task, "started_at": at}
            for host, (counter, task, at) in self.state["in_flight"].items()
        ]
        return rows

    def _begin(self, data: Mapping[str, Any]) -> None:
        run = self.run
        run["playbook"] = as_text(data.get("playbook"))
        about = data.get("fleetops_run")
        if not isinstance(about, Mapping):
            return
        texts = ("controller", "user", "ansible_version", "python_version", "collection_version", "job_id")
        run |= {name: as_text(about.get(name)) for name in texts}
        run["check_mode"], run["diff_mode"] = _flag(about.get("check_mode")), _flag(about.get("diff_mode"))
        run["limit_pattern"] = _words(about.get("limit"))
        run["tags_json"], run["skip_tags_json"] = _json_list(about.get("tags")), _json_list(about.get("skip_tags"))
        run["forks"] = whole(about.get("forks"))
        run["started_at"] = self._time(about.get("started_at")) or run["started_at"]
        named = {"run_id", *texts, "check_mode", "diff_mode", "limit", "tags", "skip_tags", "forks", "started_at"}
        more = {str(k): v for k, v in about.items() if k not in named}
        run["meta_json"] = to_json(self._redactor.scrub(more)) if more else None
        if run["check_mode"] is not None:
            self.state["modes"] = new_modes(bool(run["check_mode"]))

    def _play(self, counter: int, data: Mapping[str, Any], created: float | None) -> None:
        uuid = as_text(data.get("play_uuid")) or as_text(data.get("uuid")) or str(counter)
        seen: dict[str, list[int]] = self.state["plays"]
        play = seen.setdefault(_base(uuid), [len(seen) + 1, 0])
        play[1] = whole(data.get("batch")) or play[1] + 1
        self.state["play"], self.state["batch_number"] = counter, play[1]
        hosts = data.get("batch_hosts")
        names = sorted(_texts(hosts)) if isinstance(hosts, list) else None
        self._rows.plays.append(
            {
                "run_id": self.run_id,
                "counter": counter,
                "play_uuid": uuid,
                "play": play[0],
                "batch": play[1],
                "name": as_text(data.get("play")) or as_text(data.get("name")),
                "pattern": _words(data.get("play_pattern")) or _words(data.get("pattern")),
                "hosts": len(names) if names is not None else None,
                "hosts_json": to_json(names) if names is not None else None,
                "started_at": created,
            }
        )

    def _task(self, counter: int, data: Mapping[str, Any], created: float | None) -> None:
        uuid = as_text(data.get("task_uuid")) or as_text(data.get("uuid"))
        self.state["task"] = counter
        if uuid:
            self.state["tasks"][_base(uuid)] = counter
        self._rows.tasks.append(
            {
                "run_id": self.run_id,
                "counter": counter,
                "play_counter": self.state["play"],
                "task_uuid": uuid,
                "name": as_text(data.get("task")) or as_text(data.get("name")),
                "action": as_text(data.get("resolved_action")) or as_text(data.get("task_action")),
                "role": as_text(data.get("role")),
                "path": as_text(data.get("task_path")),
                "is_handler": int(bool(data.get("is_handler"))),
                "started_at": created,
            }
        )

    def _task_of(self, counter: int, data: Mapping[str, Any], created: float | None) -> int | None:
        """The counter of the task of an event about a host."""
        uuid = as_text(data.get("task_uuid"))
        if self.state["task"] is None and data.get("playbook") == _AD_HOC:
            # ansible-runner does not record the start of the task of an ad-hoc command.
            self._task(counter, data, created)
        # The free strategy interleaves tasks, so the task is looked up; if its start was lost, the newest one is used.
        return self.state["tasks"].get(_base(uuid), self.state["task"]) if uuid else self.state["task"]

    def _start(self, counter: int, event: Mapping[str, Any], data: Mapping[str, Any], created: float | None) -> None:
        host = host_of(event, data)
        if host:
            task = self._task_of(counter, data, created)
            self.state["in_flight"][host] = [counter, task, self._time(data.get("start")) or created]

    def _result(
        self, counter: int, name: str, event: Mapping[str, Any], data: Mapping[str, Any], created: float | None
    ) -> None:
        host = host_of(event, data)
        if not host:
            return
        kind, status = _RESULTS[name]
        if status == "failed" and data.get("ignore_errors") is True:
            status = "ignored"
        if kind == "result":
            self.state["in_flight"].pop(host, None)
        found = data.get("res")
        result: dict[str, Any] = {}
        if isinstance(found, Mapping):
            result = self._redactor.scrub({k: v for k, v in found.items() if not str(k).startswith("_ansible_")})
        has_run = status in ("ok", "failed", "ignored", "retry")
        changed = has_run and bool(result.get("changed", event.get("changed", False)))
        started = self._time(data.get("start"))
        ended = self._time(data.get("end")) or created
        modes = self.state.get("modes")
        predicted = modes is not None and add_result(modes, self.run, data, status, changed=changed)
        message = message_of(result, status)
        failure = message if status in TROUBLE else None
        kept, truncated = kept_part(result, whole=changed or status in TROUBLE)
        self._rows.results.append(
            {
                "run_id": self.run_id,
                "counter": counter,
                "play_counter": self.state["play"],
                "task_counter": self._task_of(counter, data, created),
                "host": host,
                "kind": kind,
                "status": status,
                "changed": PREDICTED if predicted else int(changed),
                "item": item_of(result) if kind == "item" else None,
                "attempt": whole(result.get("attempts")),
                "started_at": started,
                "ended_at": ended,
                "duration_s": _duration(data.get("duration"), started, ended),
                "msg": message,
                "msg_fp": None if failure is None else fingerprint(failure, host),
                "fp_version": None if failure is None else FP_VERSION,
                "result_json": kept,
                "truncated": int(truncated),
            }
        )
        self._link(result, counter, host)
        self._take_evidence(counter, data.get("fleetops_evidence"), ended)

    def _take_evidence(self, counter: int, found: Any, at: float | None) -> None:
        """Add the row of a plan, a gate or a report, from the run log's ``fleetops_evidence``."""
        if not isinstance(found, Mapping) or not isinstance(found.get("document"), Mapping):
            return
        kind, document = as_text(found.get("kind")), self._redactor.scrub(dict(found["document"]))
        if kind not in EVIDENCE_KINDS:
            return
        self._rows.evidence.append(
            {
                "run_id": self.run_id,
                "counter": counter,
                "kind": kind,
                "at": at,
                # A plan and a report belong to the run, not to a batch.
                "batch": self.state.get("batch_number") if kind == "gate" else None,
                "verdict": as_text(document.get("verdict")),
                "document_json": to_json(cut_artifacts(document, MAX_RESULT, self._redactor)),
            }
        )

    def _stats(self, data: Mapping[str, Any]) -> None:
        run = self.run
        same = {name: name for name in ("ok", "changed", "skipped", "rescued", "ignored")}
        columns = {**same, "failed": "failures", "unreachable": "dark"}
        tallies = {column: mapping(data.get(word)) for column, word in columns.items()}
        hosts = {str(host) for tally in (*tallies.values(), mapping(data.get("processed"))) for host in tally}
        self._rows.hosts = [
            {
                "run_id": self.run_id,
                "host": host,
                **{column: _tally(tally.get(host)) for column, tally in tallies.items()},
                "final": 1,
            }
            for host in sorted(hosts)
        ]
        bad = any(row["failed"] or row["unreachable"] for row in self._rows.hosts)
        run["status"] = "failed" if bad else "successful"
        run["ended_at"] = run["heartbeat_at"]
        self.state["ended"] = True
        self.state["in_flight"] = {}
        if artifacts := mapping(data.get("artifact_data")):
            self._take_artifacts(artifacts)

    def _take_artifacts(self, artifacts: Mapping[str, Any]) -> None:
        """Keep the data of set_stats, shortened by the run log's rule; the ids in it become links."""
        clean = self._redactor.scrub(dict(artifacts))
        self.run["stats_json"] = to_json(cut_artifacts(clean, MAX_RESULT, self._redactor))
        self._link(clean, None, None)

    def _refused(self, counter: int, event: Mapping[str, Any], data: Mapping[str, Any], created: float | None) -> None:
        """The end of a run that never had hosts, stored as a failure of localhost, like others without an instance."""
        failure = {"host": "localhost", "res": {"msg": data.get("msg")}}
        self._result(counter, "runner_on_failed", event, failure, created)
        self._stats({"failures": {"localhost": 1}})

    def _link(self, result: Mapping[str, Any], counter: int | None, host: str | None) -> None:
        for kind, ref in references(result):
            self._rows.links.append({"run_id": self.run_id, "kind": kind, "ref": ref, "counter": counter, "host": host})


def _new_state(run_id: str, source: str, source_ref: str | None, ahead: float) -> dict[str, Any]:
    run: Row = {"run_id": run_id, "source": source, "source_ref": source_ref, "status": "unknown"}
    run |= dict.fromkeys(_FROM_EVENTS) | {"last_counter": 0, "events": 0, "dropped_events": 0}
    state: dict[str, Any] = {"run": run, "ended": False, "unwritten": 0, "play": None, "task": None}
    return state | {"ahead": ahead, "missing": [], "plays": {}, "tasks": {}, "in_flight": {}}


def parts_of(event: Any) -> tuple[int, str, Mapping[str, Any]]:
    """The counter, the name and the data of an event. Raises EventError if it is not an event."""
    if not isinstance(event, Mapping):
        raise EventError("it is not a JSON object")
    counter, name, data = event.get("counter"), event.get("event"), event.get("event_data")
    if isinstance(counter, bool) or not isinstance(counter, int) or not 1 <= counter < 2**63:
        raise EventError("it has no counter")
    if not isinstance(name, str) or not name:
        raise EventError("it has no event name")
    return counter, name, mapping(data)


def _duration(value: Any, started: float | None, ended: float | None) -> float | None:
    given = number(value)
    if given is not None:
        return max(0.0, given)
    return max(0.0, ended - started) if started is not None and ended is not None else None


def _tally(value: Any) -> int:
    """A number of a recap; 0 if it is impossibly large, because the sum over the hosts could exceed 64 bits."""
    found = count(value)
    return found if found < _TOO_MANY else 0


def host_of(event: Mapping[str, Any], data: Mapping[str, Any]) -> str | None:
    """The host of an event, None if it has none."""
    return as_text(data.get("host")) or as_text(event.get("host_name"))


def _base(uuid: str) -> str:
    return _BATCH_SUFFIX.sub("", uuid)


def _words(value: Any) -> str | None:
    return ",".join(_texts(value)) or None if isinstance(value, list) else as_text(value)


def _json_list(value: Any) -> str | None:
    if isinstance(value, str):
        value = [word.strip() for word in value.split(",") if word.strip()]
    return to_json(_texts(value)) if isinstance(value, list) else None


def _texts(values: Sequence[Any]) -> list[str]:
    return [text for value in values if (text := as_text(value)) is not None]


def _flag(value: Any) -> int | None:
    return int(value) if isinstance(value, bool) else None
