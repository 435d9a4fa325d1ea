# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Event source for ansible-rulebook: what happens to rollouts, targets, instances and in the audit of a fleet.

ansible-rulebook loads this file alone, so it imports nothing of the collection. From the inside out: reading an answer,
steps (pure: what was known + what was read -> what is known + events), the watermark file, the API, the loop.
"""

from __future__ import annotations

import asyncio
import email.utils
import fcntl
import json
import logging
import math
import os
import random
import re
import ssl
import sys
import time
import urllib.request
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import aiohttp
from yarl import URL

DOCUMENTATION = r"""
---
short_description: Follow the rollouts, the health and the audit of a fleet
author:
  - The fleetops.agents contributors (@fleetops)
version_added: 0.2.0
description:
  - Asks the instance ops API again and again what has changed, and tells each change as one event.
  - What was told is kept in a watermark file, so nothing is told twice or left out when ansible-rulebook is started
    again. Only after a kill between handing an event over and noting that, this one event is told again, with the same
    C(meta.uuid) and C(repeated=true).
  - The API tells states, not changes. What came and went between two looks is not told.
  - That an instance is not healthy while it is deployed, or within a minute after, is not told.
  - The API has no list of instances. Those that took part in the newest rollouts are known, and those of O(instances).
  - ansible-rulebook copies the file of C(-i) alone for its playbooks. With group_vars or host_vars beside that file the
    source stops, since the playbooks would run without these variables; give the folder.
  - With a key that is wrong the source stops. While the API does not answer it keeps trying, and says so.
  - The guide lists the events with their fields; C(extensions/eda/schemas/fleet.json) is their JSON schema.
options:
  api_url:
    description: Address of the server. Without it, the environment variable E(FLEETOPS_API_URL) is used.
    type: str
    required: true
  api_key:
    description:
      - The key that is sent in the header C(X-Api-Key); a key with the role of a user does.
      - Without it, the environment variable E(FLEETOPS_API_KEY) is used, which keeps it out of the rulebook.
    type: str
    required: true
  validate_certs:
    description: Whether the server's TLS certificate must be trusted; also E(FLEETOPS_VALIDATE_CERTS).
    type: bool
    default: true
  ca_path:
    description: A file or a folder of certificates to trust instead of the system's; also E(FLEETOPS_CA_PATH).
    type: str
  request_timeout:
    description: Seconds to wait for one answer; also E(FLEETOPS_REQUEST_TIMEOUT).
    type: float
    default: 30
  max_rate:
    description: How many calls a second are sent at most. A server's C(Retry-After) stops all of them for so long.
    type: float
    default: 10
  interval:
    description: Seconds between two looks at the rollouts.
    type: float
    default: 30
  instance_interval:
    description: Seconds between two looks at the health and the audit of all instances, one call an instance for each.
    type: float
    default: 60
  events:
    description:
      - The types of events to tell. What none of them needs is not asked for.
      - There are besides V(fleetops.target.succeeded) and V(fleetops.audit.event).
    type: list
    elements: str
    default:
      - fleetops.rollout.started
      - fleetops.rollout.paused
      - fleetops.rollout.resumed
      - fleetops.rollout.finished
      - fleetops.target.failed
      - fleetops.target.uncertain
      - fleetops.instance.unhealthy
      - fleetops.instance.healthy
      - fleetops.instance.gone
  start_from:
    description:
      - What to tell when there is no watermark yet.
      - V(now) tells what happens from now on, and what is unhealthy now.
      - V(earliest) tells of the past too, as far as the newest 100 rollouts and the newest 500 audit events an instance
        go, or those of the last ten minutes where these are more.
    type: str
    choices: [now, earliest]
    default: now
  instances:
    description:
      - Instances that took part in no rollout, names to ids. The names win over those that the API tells.
      - Put the ids in quotes, since YAML reads some of them as numbers.
    type: dict
    default: {}
  live:
    description:
      - Whether to have each agent checked anew instead of reading its stored health. That loads the agents.
    type: bool
    default: false
  unhealthy_after:
    description: How many checks in a row must find an instance not healthy before it is told.
    type: int
    default: 1
  audit_outcomes:
    description: The outcomes of audit events that are told.
    type: list
    elements: str
    default: [error, denied]
  watermark:
    description:
      - The file that keeps what was told, one a rulebook; also E(FLEETOPS_EDA_WATERMARK).
      - In a decision environment it must be on a volume that outlives the container.
    type: str
    default: ~/.local/state/fleetops/eda-watermark.json
  feedback:
    description:
      - Wait for each event until the rule engine has taken it, before it is noted as told. ansible-rulebook offers that
        with C(--persistence-id) and a C(name) for this source.
    type: bool
    default: false
"""

EXAMPLES = r"""
# The address and the key are in the environment.
- name: fleet
  fleetops.agents.fleet:
    interval: 15
    watermark: /var/lib/fleetops/eda-watermark.json

- name: fleet
  fleetops.agents.fleet:
    events:
      - fleetops.instance.unhealthy
      - fleetops.audit.event
    audit_outcomes: [denied]
    live: true
    unhealthy_after: 2
    instances:
      agent-900: "6f1c1d2e-0000-4000-8000-000000000900"
"""

log = logging.getLogger("fleetops.agents.eda.fleet")

Record = dict[str, Any]

ROLLOUT_EVENTS = tuple(f"fleetops.rollout.{word}" for word in ("started", "paused", "resumed", "finished"))
TARGET_EVENTS = tuple(f"fleetops.target.{word}" for word in ("failed", "uncertain", "succeeded"))
HEALTH_EVENTS = tuple(f"fleetops.instance.{word}" for word in ("unhealthy", "healthy", "gone"))
AUDIT_EVENT = "fleetops.audit.event"
EVENTS = (*ROLLOUT_EVENTS, *TARGET_EVENTS, *HEALTH_EVENTS, AUDIT_EVENT)
DEFAULT_EVENTS = tuple(word for word in EVENTS if word not in ("fleetops.target.succeeded", AUDIT_EVENT))

# Rows that are asked for at once; a server may give fewer, so a short page is not the end of a list.
ROLLOUTS_PAGE, AUDIT_PAGE, MOST_PAGES = 100, 100, 500
# So many pages in a row may hold known rows alone, as those that come in move the others. No list is as long as FAR.
IDLE_PAGES, FAR = 20, 100_000
# So many of the newest are looked through each time, whatever the first of them say.
CLOSED_KEPT, AUDIT_FIRST = 100, 500
# Of a history that was never seen, so many rollouts are read for the names of the instances.
DISCOVERY_FLEETS, DISCOVERY_SINGLES = 5, 45
# An audit event that comes in later than this after a newer one is not told.
AUDIT_LATENESS = 600.0
# The time of an audit event whose times cannot be read: it is kept as known, and nothing is older because of it.
NO_TIME = 9e15
# A deployment makes an agent unwell: so many seconds from its start, or from its end, that is no news.
DEPLOYING, SETTLING = 900.0, 60.0
LONGEST_RETRY_AFTER, LONGEST_PAUSE, FEEDBACK_TIMEOUT = 120.0, 60.0, 60.0
AT_ONCE, INSTANCES_AT_ONCE, LONGEST_TEXT = 4, 200, 2000


class SourceError(Exception):
    """The source cannot go on; the message is one sentence for people."""


# Reading an answer

_WORDS = {
    "queued": "queued pending scheduled enqueued waiting created",
    "in_progress": "in_progress running started deploying active",
    "succeeded": "succeeded success completed done ok",
    "failed": "failed failure error timed_out",
    "uncertain": "uncertain unknown lost indeterminate",
    "cancelled": "cancelled canceled revoked aborted skipped",
}
_TARGET = {word: status for status, words in _WORDS.items() for word in words.split()}
_ROLLOUT = {
    **dict.fromkeys(("paused", "pausing", "on_hold"), "paused"),
    **dict.fromkeys(("completed", "succeeded", "success", "done"), "completed"),
    **dict.fromkeys(("partial", "completed_with_errors", "partially_failed"), "partial"),
    **dict.fromkeys(("failed", "error"), "failed"),
    **dict.fromkeys(("cancelled", "canceled", "revoked"), "cancelled"),
    **dict.fromkeys(("pending", "queued"), "pending"),
    **dict.fromkeys(("in_progress", "running", "active", "started"), "in_progress"),
    **dict.fromkeys(("cancelling", "canceling"), "cancelling"),
}
_HEALTHY = frozenset({"healthy", "ok", "up", "pass", "passing", "green"})


def normalise(word: Any) -> str:
    return re.sub(r"[\s\-]+", "_", str(word).strip().lower()) if word is not None else ""


def target_status(word: Any) -> str:
    text = normalise(word)
    return _TARGET.get(text, text)


def epoch(value: Any) -> float | None:
    """Epoch seconds of an ISO 8601 text (without a zone it is UTC) or of a number of seconds or milliseconds.

    None of anything else, and of what no clock of a fleet can show, such as the year 1.
    """
    if isinstance(value, str) and not re.fullmatch(r"\s*\d{10,13}(\.\d*)?\s*", value):
        try:
            moment = datetime.fromisoformat(value.strip())
            at: float | None = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError, OSError):
            return None
    else:
        at = number(float(value) if isinstance(value, str) else value)
        if at is not None and at > 1e11:
            at /= 1000
    return at if at is not None and 0 < at < 253_402_214_400 else None


def number(value: Any) -> float | None:
    """A finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def iso(text: Any) -> str | None:
    """The same moment in UTC with whole seconds, or None."""
    at = epoch(text)
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


class Order:
    """Whether a list begins with its newest row, found out from the times of the rows that were read."""

    def __init__(self) -> None:
        self._last: float | None = None
        self._falls = self._rises = 0

    def note(self, times: Iterable[float | None]) -> None:
        for at in times:
            if at is not None and self._last is not None:
                self._falls += at < self._last
                self._rises += at > self._last
            self._last = at if at is not None else self._last

    @property
    def newest_first(self) -> bool:
        return self._falls > self._rises

    @property
    def oldest_first(self) -> bool:
        return self._rises > self._falls


def words(value: Any) -> str | None:
    """A text of bounded length, or None."""
    return None if value in (None, "") else str(value)[:LONGEST_TEXT]


def records(value: Any) -> list[Record]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


# Steps: what was known and what was read -> what is known and what to tell


class Step(NamedTuple):
    known: Record
    events: list[Record]


def event(kind: str, at: str | None, occurrence: Iterable[Any], **fields: Any) -> Record:
    """One event. The same occurrence has the same uuid, whoever tells it and how often."""
    name = json.dumps([kind, *occurrence], default=str)
    return {"type": kind, "id": str(uuid.uuid5(uuid.NAMESPACE_URL, name)), "at": at, "repeated": False, **fields}


def list_mark(row: Mapping[str, Any]) -> list[Any]:
    """What of a row of the list of rollouts shows that the rollout must be looked at again."""
    counters = ("queued", "in_progress", "succeeded", "failed", "uncertain")
    return [row.get("status"), row.get("completed_at"), *(row.get(f"{word}_targets") for word in counters)]


def is_due(known: Mapping[str, Any] | None, row: Mapping[str, Any]) -> bool:
    return known is None or known["phase"] != "finished" or known["mark"] != list_mark(row)


def phase_of(timeline: Mapping[str, Any], statuses: list[str]) -> str:
    """``open``, ``paused`` or ``finished``; the targets count for more than the rollout's own word."""
    word = normalise(timeline.get("status"))
    status = _ROLLOUT.get(word, word)
    if status == "paused":
        return "paused"
    if status in ("pending", "in_progress", "cancelling") or {"queued", "in_progress"} & set(statuses):
        return "open"
    ended = status in ("completed", "partial", "failed", "cancelled") or epoch(timeline.get("completed_at")) is not None
    return "finished" if ended else "open"


def rollout_step(known: Mapping[str, Any] | None, row: Mapping[str, Any], timeline: Mapping[str, Any]) -> Step:
    """One rollout's timeline. ``row`` is what the list said of it before; ``known`` is None for a new one.

    ``known``: created (epoch s), phase, mark, result, unread, turn (how often the rollout itself was told), and
    targets: id -> [status, completed_at, started_at, how often the target has failed]. Of a finished rollout the
    targets that succeeded are left out: they were told, and stay so.
    """
    rows = records(timeline.get("timeline"))
    statuses = [target_status(target.get("status")) for target in rows]
    phase = phase_of(timeline, statuses)
    rollout_id = str(timeline.get("rollout_id") or row.get("id"))
    word = normalise(timeline.get("status"))
    counts = {status: statuses.count(status) for status in _WORDS}
    about: Record = {
        "id": rollout_id,
        "scope": words(timeline.get("scope")),
        "status": _ROLLOUT.get(word, word),
        "created_at": iso(timeline.get("created_at")),
        "completed_at": iso(timeline.get("completed_at")),
        "targets": {"total": len(rows), **counts},
    }
    result = [about["status"], timeline.get("completed_at"), counts]
    before = known or {"phase": None, "targets": {}, "result": None, "turn": 0}
    new: Record = {
        "created": epoch(row.get("created_at")),
        "phase": phase,
        "mark": list_mark(row),
        "result": result,
        "targets": {},
    }
    told: list[Record] = []
    for target, status in zip(rows, statuses, strict=True):
        if not (target_id := words(target.get("target_id"))):
            continue
        old = before["targets"].get(target_id)
        state, target_event = _target_step(old, status, target, settled=before["phase"] == "finished")
        if target_event:
            told.append(_target_event(target, status, target_id, state[3], {"id": rollout_id, "scope": about["scope"]}))
        if state[0] != "succeeded" or phase != "finished":
            new["targets"][target_id] = state
    told.sort(key=lambda row: row["at"] or "")
    turns: list[tuple[str, str | None]] = []
    if known is None:
        turns.append((ROLLOUT_EVENTS[0], about["created_at"]))
    if phase == "paused" and before["phase"] != "paused":
        turns.append((ROLLOUT_EVENTS[1], None))
    if phase == "open" and before["phase"] in ("paused", "finished"):
        turns.append((ROLLOUT_EVENTS[2], None))
    if phase == "finished" and (before["phase"] != "finished" or before["result"] != result):
        turns.append((ROLLOUT_EVENTS[3], about["completed_at"]))
    new["turn"] = before["turn"] + len(turns)
    own = [event(kind, at, [rollout_id, before["turn"] + n], rollout=about) for n, (kind, at) in enumerate(turns)]
    # It starts before its targets end, and it ends after them.
    told = [*own[:1], *told, *own[1:]] if known is None else [*told, *own]
    return Step(new, told if known is None or not known.get("unread") else [])


def _target_step(
    old: list[Any] | None, status: str, target: Mapping[str, Any], *, settled: bool
) -> tuple[list[Any], bool]:
    """What is known of a target now, and whether its result is news."""
    failures = old[3] if old else 0
    state = [status, target.get("completed_at") or None, target.get("started_at") or None]
    if status in ("failed", "uncertain"):
        if old is not None and old[:2] == state[:2]:
            return old, False
        # A late result is of the same attempt.
        again = old is not None and old[0] in ("failed", "uncertain") and old[2] == state[2]
        return [*state, failures if again else failures + 1], True
    if status == "succeeded":
        return [*state, failures], old[0] != "succeeded" if old is not None else not settled
    return [*state, failures], False


def _target_event(
    target: Mapping[str, Any], status: str, target_id: str, failures: int, rollout: Mapping[str, Any]
) -> Record:
    duration = target.get("duration_seconds")
    return event(
        f"fleetops.target.{status}",
        iso(target.get("completed_at")),
        [target_id, status, target.get("completed_at"), failures],
        rollout=dict(rollout),
        target={
            "id": target_id,
            "status": status,
            "error_message": words(target.get("error_message")),
            "started_at": iso(target.get("started_at")),
            "completed_at": iso(target.get("completed_at")),
            "duration_seconds": number(duration),
            "failures": failures,
        },
        instance={"id": words(target.get("instance_id"))},
    )


def prune(rollouts: Mapping[str, Record], floor: float | None) -> tuple[dict[str, Record], float | None]:
    """The rollouts to go on with, and the creation time below which an unknown one is no news."""
    closed = [item for item in rollouts.items() if item[1]["phase"] == "finished" and item[1]["created"] is not None]
    closed.sort(key=lambda item: -item[1]["created"])
    dropped = closed[CLOSED_KEPT:]
    if not dropped:
        return dict(rollouts), floor
    gone = {rollout_id for rollout_id, _known in dropped}
    return {i: known for i, known in rollouts.items() if i not in gone}, max(floor or 0.0, dropped[0][1]["created"])


NEVER_CHECKED = {"state": None, "streak": 0, "checked_at": None}


def excuse(target: Mapping[str, Any]) -> float | None:
    """Until when (epoch s) this target of a rollout explains that its instance is not healthy; None if it does not."""
    started, completed = epoch(target.get("started_at")), epoch(target.get("completed_at"))
    if started is None:
        return None
    if target_status(target.get("status")) == "in_progress":
        return started + DEPLOYING
    return None if completed is None else completed + SETTLING


def health_step(
    known: Mapping[str, Any] | None, instance_id: str, health: Record | None, *, needed: int = 1, excused: float = 0
) -> Step:
    """One reading of an instance's health; ``health`` None means that the server knows the instance no more.

    ``needed``: checks in a row that must find it unwell. ``excused``: until then (epoch s) it may be unwell.

    ``known``: state (None, healthy, unhealthy, gone), streak of checks that found it unwell, checked_at of the newest.
    """
    old: Record = dict(known or NEVER_CHECKED)
    subject = {"instance": {"id": instance_id}}
    if health is None:
        new = {"state": "gone", "streak": 0, "checked_at": None}
        told = (
            []
            if old["state"] == "gone"
            else [event(HEALTH_EVENTS[2], None, [instance_id, old["checked_at"]], **subject)]
        )
        return Step(new, told)
    checked = words(health.get("checked_at"))
    seen, now = epoch(old["checked_at"]), epoch(checked)
    if seen is not None and now is not None and now <= seen:
        return Step(old, [])
    status = normalise(health.get("status"))
    about = {
        "status": status,
        "checked_at": iso(checked),
        "cached": health.get("cached") is not False,
        "unwell": unwell(health.get("subsystems")),
    }
    occurrence = [instance_id, checked]
    if status in _HEALTHY:
        new = {"state": "healthy", "streak": 0, "checked_at": checked}
        if old["state"] in (None, "healthy"):
            return Step(new, [])
        return Step(new, [event(HEALTH_EVENTS[1], iso(checked), occurrence, health=about, **subject)])
    if now is not None and now < excused:
        return Step(old, [])
    streak = old["streak"] + 1
    if old["state"] == "unhealthy" or streak < needed:
        return Step({"state": old["state"], "streak": streak, "checked_at": checked}, [])
    new = {"state": "unhealthy", "streak": streak, "checked_at": checked}
    return Step(new, [event(HEALTH_EVENTS[0], iso(checked), occurrence, health=about, **subject)])


def unwell(subsystems: Any) -> list[str]:
    """Names of the subsystems whose status is not a healthy one."""
    if not isinstance(subsystems, dict):
        return []
    states = {name: part.get("status") if isinstance(part, dict) else part for name, part in subsystems.items()}
    return sorted(str(name) for name, state in states.items() if normalise(state) not in _HEALTHY)


def audit_news(known: Mapping[str, Any], rows: Iterable[Record]) -> list[Record]:
    """Of one page of audit events those that were not seen before and are not of the past."""
    floor = known["floor"]
    return [
        row
        for row in rows
        if row.get("id") is not None
        and str(row["id"]) not in known["ids"]
        and (floor is None or (audit_time(row) or floor + 1) > floor)
    ]


def audit_time(row: Mapping[str, Any]) -> float | None:
    at = epoch(row.get("event_ts"))
    return at if at is not None else epoch(row.get("ingested_at"))


def audit_step(known: Mapping[str, Any], instance_id: str, rows: Iterable[Record], outcomes: Iterable[str]) -> Step:
    """All news of an instance's audit.

    ``known``: floor (epoch s or None), ids (id -> epoch s) above the floor, and end: how many rows the list had, if it
    begins with the oldest one.
    """
    news = {str(row["id"]): row for row in audit_news(known, rows)}
    ids = {**known["ids"], **{i: NO_TIME if (at := audit_time(row)) is None else at for i, row in news.items()}}
    newest = max((at for at in ids.values() if at != NO_TIME), default=None)
    floor = known["floor"]
    if newest is not None:
        floor = max(newest - AUDIT_LATENESS, floor if floor is not None else float("-inf"))
    kept = {event_id: at for event_id, at in ids.items() if floor is None or at > floor}
    wanted = {normalise(word) for word in outcomes}
    told = [_audit_event(instance_id, row) for row in news.values() if normalise(row.get("outcome")) in wanted]
    told.sort(key=lambda row: row["at"] or "")
    return Step({**known, "floor": floor, "ids": kept}, told)


def _audit_event(instance_id: str, row: Mapping[str, Any]) -> Record:
    fields = ("event_type", "outcome", "role", "source", "server_slug", "tool_name", "conversation_id", "request_id")
    about = {name: words(row.get(name)) for name in fields}
    about["id"] = str(row["id"])
    at = iso(row.get("event_ts"))
    return event(AUDIT_EVENT, at, [instance_id, row["id"]], audit=about, instance={"id": instance_id})


def host_names(told: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Inventory names by instance id, as the collection's inventory plugin gives them.

    ``told``: host names by id, from the API. ``given``: ids by name, from the user.
    """
    tally: dict[str, int] = {}
    for hostname in told.values():
        tally[hostname] = tally.get(hostname, 0) + 1
    names = {i: hostname if tally[hostname] == 1 else f"{hostname}-{i[:8]}" for i, hostname in told.items()}
    spelled = {same_id(i): i for i in told}
    return {**names, **{spelled.get(same_id(i), i): name for name, i in given.items()}}


def same_id(text: str) -> str:
    """An id in the one spelling by which it is compared: UUIDs are the same in upper and lower case."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return text


def addressed(row: Record, names: Mapping[str, str]) -> Record:
    """The event with its instance's name, and with ``meta.hosts``, to which ansible-rulebook limits its actions."""
    meta: Record = {"uuid": row["id"]}
    if (instance_id := row.get("instance", {}).get("id")) is not None:
        name = names.get(instance_id)
        row = {**row, "instance": {"id": instance_id, "name": name}}
        if name:
            meta["hosts"] = name
    return {**row, "meta": meta}


# The watermark file


class Watermark:
    """What is known, and which events were handed over, on disk.

    The file is replaced as a whole: what is known now and the events that follow from it appear together. Which of
    those events were handed over is appended to ``FILE.log``, ``put`` before and ``done`` after. An event with a
    ``put`` and no ``done`` when the file is opened may or may not have arrived: it comes again, as ``repeated``.
    """

    FORMAT = 1

    def __init__(self, path: Path, api_url: str) -> None:
        self.path, self.api_url = path, api_url
        self.known: Record = {}
        self.outbox: list[Record] = []
        self._log_path = path.with_name(path.name + ".log")
        self._files: list[int] = []

    def __enter__(self) -> Watermark:
        try:
            _make_folder(self.path.parent)
            lock = os.open(self.path.with_name(self.path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
            self._files.append(lock)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._load()
            self._log = os.open(self._log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            self._files.append(self._log)
        except BlockingIOError:
            self.__exit__()
            raise SourceError(
                f"The watermark file {self.path} is in use by another ansible-rulebook; give each its own (watermark)."
            ) from None
        except OSError as problem:
            self.__exit__()
            raise SourceError(f"The watermark file {self.path} cannot be used: {problem.strerror}.") from None
        except SourceError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        while self._files:
            os.close(self._files.pop())

    def _load(self) -> None:
        try:
            whole = json.loads(self.path.read_text(encoding="utf-8"))
            if not isinstance(whole, dict) or whole.get("format") != self.FORMAT:
                raise ValueError("its format is not known to this version")
            known, outbox, api_url = whole["known"], whole["outbox"], whole["api_url"]
        except FileNotFoundError:
            return
        except (ValueError, KeyError) as problem:
            raise SourceError(
                f"The watermark file {self.path} is not readable ({problem}); move it away to start anew from now."
            ) from None
        if api_url != self.api_url:
            raise SourceError(
                f"The watermark file {self.path} belongs to {api_url}, not to {self.api_url}; name another (watermark)."
            )
        said: dict[str, str] = {}
        if self._log_path.exists():
            lines = self._log_path.read_text(encoding="utf-8", errors="replace").splitlines()
            said = {parts[1]: parts[0] for parts in (line.split() for line in lines) if len(parts) == 2}
        self.known = known
        self.outbox = [
            {**row, "repeated": True} if said.get(row["id"]) == "put" else row
            for row in outbox
            if said.get(row["id"]) != "done"
        ]

    def commit(self, events: list[Record]) -> None:
        """Replace the file by what is known now; ``events`` follow from it and are to be handed over."""
        try:
            self._replace(events)
        except OSError as problem:
            raise SourceError(
                f"The watermark file {self.path} cannot be written: {problem.strerror}; nothing more is told."
            ) from None

    def _replace(self, events: list[Record]) -> None:
        self.outbox = [*self.outbox, *events]
        whole = {"format": self.FORMAT, "api_url": self.api_url, "known": self.known, "outbox": self.outbox}
        new = self.path.with_name(self.path.name + ".new")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(whole, file, separators=(",", ":"))
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path)
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        if not self.outbox or self.outbox == events:
            # Nothing of the file refers to the log any more.
            os.ftruncate(self._log, 0)

    def note(self, word: str, event_id: str) -> None:
        os.write(self._log, f"{word} {event_id}\n".encode())
        os.fsync(self._log)


def _make_folder(folder: Path) -> None:
    """Create a folder and its missing parents, each 0700 whatever the umask is."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)
        path.chmod(0o700)
    if not folder.is_dir():
        raise NotADirectoryError(20, "Not a directory", str(folder))


# The API


# The words of the collection's other parts (plugins/module_utils/_rules/plain_values.py); a test compares them.
TRUE = ("true", "yes", "on", "1", "t", "y")
FALSE = ("false", "no", "off", "0", "f", "n")


class Settings(NamedTuple):
    """The options of DOCUMENTATION, checked."""

    api_url: str
    api_key: str
    validate_certs: bool
    ca_path: str | None
    request_timeout: float
    max_rate: float
    interval: float
    instance_interval: float
    events: frozenset[str]
    start_from: str
    instances: dict[str, str]
    live: bool
    unhealthy_after: int
    audit_outcomes: tuple[str, ...]
    watermark: Path

    def wants(self, *kinds: str) -> bool:
        return not self.events.isdisjoint(kinds)


def read_settings(args: Mapping[str, Any], environment: Mapping[str, str]) -> Settings:
    """Raises SourceError with a sentence that names the option."""
    unknown = set(args) - set(Settings._fields) - {"feedback", "eda_feedback_queue"}
    if unknown:
        raise SourceError(f"There is no option {', '.join(sorted(unknown))}; there are {', '.join(Settings._fields)}.")
    # An empty value means "not set", as in the other parts of the collection.
    given = {name: value for name, value in args.items() if value is not None and str(value).strip()}
    found = {name: value for name, value in environment.items() if value.strip()}

    def get(name: str, default: Any, variable: str | None = None) -> Any:
        return given.get(name, found.get(variable, default) if variable else default)

    def called(name: str, variable: str | None) -> str:
        """What a person must mend: the option, or the environment variable that was read in its place."""
        return variable if variable in found and name not in given else name

    def text(name: str, default: Any, variable: str | None = None) -> Any:
        value = get(name, default, variable)
        if value is not None and not isinstance(value, str):
            kind = type(value).__name__
            raise SourceError(f"{name} must be a text, and YAML has read it as {kind}: put it in quotes.")
        return value

    def seconds(name: str, default: float, variable: str | None = None, least: float = 0.01) -> float:
        value = get(name, default, variable)
        try:
            result = float(value) if not isinstance(value, bool) else float("nan")
        except (TypeError, ValueError):
            result = float("nan")
        if not least <= result <= 86400:
            name = called(name, variable)
            raise SourceError(f"{name} is {value!r}: it must be a number from {least:g} to 86400.")
        return result

    def flag(name: str, default: bool, variable: str | None = None) -> bool:
        value = str(get(name, default, variable)).strip().lower()
        if value not in (*TRUE, *FALSE):
            raise SourceError(f"{called(name, variable)} is {value!r}: it must be true or false.")
        return value in TRUE

    def texts(name: str, default: tuple[str, ...]) -> tuple[str, ...]:
        value = get(name, default)
        if not isinstance(value, list | tuple) or not all(isinstance(word, str) for word in value):
            raise SourceError(f"{name} must be a list of words.")
        return tuple(value)

    kinds = texts("events", DEFAULT_EVENTS)
    if strange := sorted(set(kinds) - set(EVENTS)):
        raise SourceError(f"events: there is no type {', '.join(strange)}; there are {', '.join(EVENTS)}.")
    if (start := get("start_from", "now")) not in ("now", "earliest"):
        raise SourceError(f"start_from is {start!r}: it must be now or earliest.")
    instances = get("instances", {})
    if not isinstance(instances, dict):
        raise SourceError("instances must map names to ids.")
    for name, value in instances.items():
        # YAML reads 0755 as the number 493, and 020222070707 as another one.
        if not isinstance(value, str) or not value.strip():
            raise SourceError(
                f"instances: the id of {name} must be a text, and YAML has read it as {value!r}"
                f" ({type(value).__name__}): put it in quotes."
            )
        if not isinstance(name, str):
            raise SourceError(f"instances: YAML has read the name {name!r} as {type(name).__name__}: put it in quotes.")
    return Settings(
        api_url=_base_url(text("api_url", "", "FLEETOPS_API_URL")),
        api_key=_key(text("api_key", "", "FLEETOPS_API_KEY")),
        validate_certs=flag("validate_certs", True, "FLEETOPS_VALIDATE_CERTS"),
        ca_path=text("ca_path", None, "FLEETOPS_CA_PATH"),
        request_timeout=seconds("request_timeout", 30, "FLEETOPS_REQUEST_TIMEOUT"),
        max_rate=seconds("max_rate", 10),
        interval=seconds("interval", 30),
        instance_interval=seconds("instance_interval", 60),
        events=frozenset(kinds),
        start_from=start,
        instances={name: value.strip() for name, value in instances.items()},
        live=flag("live", False),
        unhealthy_after=int(seconds("unhealthy_after", 1, least=1)),
        audit_outcomes=texts("audit_outcomes", ("error", "denied")),
        watermark=Path(
            text("watermark", "~/.local/state/fleetops/eda-watermark.json", "FLEETOPS_EDA_WATERMARK")
        ).expanduser(),
    )


def _base_url(text: str) -> str:
    text = text.strip().rstrip("/")
    if not text:
        raise SourceError("api_url is empty: set it, or FLEETOPS_API_URL in the environment.")
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc and not parts.query
    except ValueError:
        usable = False
    if not usable:
        raise SourceError(
            "api_url must look like https://fleet.example.com, without a user name, a password or a query."
        )
    return re.sub(r"/v1(/instances)?$", "", text)


def inventory_problem(argv: list[str], environment: Mapping[str, str]) -> str | None:
    """Why the playbooks of this ansible-rulebook would run without variables of its inventory, else None.

    For each playbook it copies the inventory to another folder: of a file the file alone, a folder as a whole.
    """
    program = Path(argv[0]) if argv else Path()
    if not {"ansible-rulebook", "ansible_rulebook"} & {program.name, program.parent.name}:
        return None
    given = environment.get("ANSIBLE_INVENTORY", "")
    words = iter(argv[1:])
    for word in words:
        option, is_assigned, value = word.partition("=")
        if option.startswith("--in") and "--inventory".startswith(option):
            given = value if is_assigned else next(words, "")
        elif (short := re.fullmatch(r"-v*i(.*)", word)) is not None:
            given = short[1] or next(words, "")
    file = Path(given)
    beside = [name for name in ("group_vars", "host_vars") if (file.parent / name).is_dir()]
    if not given or not file.is_file() or not beside:
        return None
    return (
        f"ansible-rulebook copies the inventory file {file} alone for its playbooks, without {' and '.join(beside)}"
        f" beside it, so they would run with other variables than yours. Give the folder: -i {file.parent}"
    )


def _key(text: str) -> str:
    if not text.strip():
        raise SourceError("api_key is empty: set it, or FLEETOPS_API_KEY in the environment.")
    if text != text.strip() or not text.isprintable() or not text.isascii():
        raise SourceError("api_key holds a blank at an end, a line break or a letter that no HTTP header can carry.")
    return text


class NotFound(Exception):
    """The server does not know the subject of a call (404)."""


class Unavailable(Exception):
    """No usable answer, perhaps later. ``answered``: the server is there, and it is this call alone that failed."""

    def __init__(self, sentence: str, *, answered: bool) -> None:
        super().__init__(sentence)
        self.answered = answered


class Api:
    """GETs of the instance ops API, paced; never more than AT_ONCE at a time.

    Raises SourceError for what stays wrong (key, role, redirect; TLS before the first answer), NotFound, Unavailable.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._next_slot = 0.0
        self._answered = False
        self._tls = _tls(settings)
        self._secrets = [settings.api_key, *_proxy_secrets(urllib.request.getproxies())]

    async def __aenter__(self) -> Api:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self._settings.request_timeout),
            headers={
                "Accept": "application/json",
                "User-Agent": "fleetops.agents.eda",
                "X-Api-Key": self._settings.api_key,
            },
            # The server's own cookies and a password of .netrc are none of ours.
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self._session.close()

    async def get(self, path: str, **query: Any) -> Any:
        """The parsed body. A 429, or a 503 that names a time, is waited for, up to five times."""
        for attempt in range(6):
            await self._slot()
            status, headers, body = await self._send(path, query)
            pause = _retry_after(headers)
            if status != 429 and not (status == 503 and pause is not None):
                return self._reading(path, status, body)
            # At least the ordinary pause: a server may name a time that has passed.
            pause = max(min(2.0**attempt, LONGEST_PAUSE), pause or 0.0)
            log.info("GET %s: HTTP %s; all calls wait for %.0f s", path, status, pause)
            self._next_slot = max(self._next_slot, time.monotonic() + pause)
        raise Unavailable(f"GET {path}: the server turned it down six times (HTTP {status})", answered=False)

    async def _slot(self) -> None:
        """Wait for this call's turn: so many a second, and none while the server wants to be left alone."""
        while (wait := self._next_slot - time.monotonic()) > 0:
            await asyncio.sleep(wait)
        self._next_slot = time.monotonic() + 1 / self._settings.max_rate

    async def _send(self, path: str, query: Mapping[str, Any]) -> tuple[int, Mapping[str, str], str]:
        url = self._settings.api_url + path
        spelled = {name: str(value).lower() for name, value in query.items()}
        try:
            async with self._session.get(
                url, params=spelled, allow_redirects=False, ssl=self._tls, proxy=_proxy(url)
            ) as answer:
                return answer.status, answer.headers, await answer.text(errors="replace")
        except aiohttp.ClientConnectorCertificateError as problem:
            reason = getattr(problem.certificate_error, "verify_message", "") or "it is not trusted"
            sentence = f"The certificate of {self._settings.api_url} was refused: {reason}"
            if not self._answered:
                raise SourceError(f"{sentence}. Check it, ca_path or validate_certs.") from None
            raise Unavailable(sentence, answered=False) from None
        except TimeoutError:
            raise Unavailable(f"GET {path}: no answer within the time limit", answered=False) from None
        except aiohttp.ClientConnectorError as problem:
            doubt = "" if self._answered else " Is api_url (FLEETOPS_API_URL) right?"
            reason = problem.os_error.strerror or problem.os_error
            sentence = f"No connection to {self._settings.api_url} ({reason}).{doubt}"
            raise Unavailable(sentence, answered=False) from None
        except (aiohttp.ClientError, OSError) as problem:
            raise Unavailable(
                f"GET {path}: {self._scrubbed(problem) or type(problem).__name__}", answered=False
            ) from None

    def _reading(self, path: str, status: int, body: str) -> Any:
        if status == 401:
            raise SourceError(
                f"GET {path} failed with HTTP 401: {self._said(body)}. Check api_key (FLEETOPS_API_KEY): it is missing,"
                " wrong, expired or of another tenant."
            )
        if status == 403:
            raise SourceError(f"GET {path} failed with HTTP 403: {self._said(body)}. The key's role does not allow it.")
        if 300 <= status < 400:
            raise SourceError(
                f"GET {path} was redirected, and the key goes nowhere else. Set api_url to the final address."
            )
        if status == 404:
            raise NotFound(path)
        if status != 200:
            raise Unavailable(f"GET {path} failed with HTTP {status}: {self._said(body)}", answered=True)
        try:
            value = json.loads(body)
        except (ValueError, RecursionError):
            raise Unavailable(f"GET {path}: the answer is not JSON", answered=True) from None
        self._answered = True
        return self._scrubbed_value(value)

    def _said(self, body: str) -> str:
        try:
            detail = json.loads(body)
            detail = detail.get("detail", detail) if isinstance(detail, dict) else detail
        except (ValueError, RecursionError):
            detail = re.sub(r"<[^>]*>", " ", body)
        return self._scrubbed(" ".join(_sentence(detail).split())[:300]).rstrip(".") or "no explanation"

    def _scrubbed(self, text: object) -> str:
        found = str(text)
        for secret in self._secrets:
            found = found.replace(secret, "***")
        # Nothing of a server's text may steer a terminal.
        return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", lambda match: f"\\x{ord(match[0]):02x}", found)

    def _scrubbed_value(self, value: Any) -> Any:
        if isinstance(value, str):
            return value.replace(self._settings.api_key, "***")
        if isinstance(value, dict):
            return {name: self._scrubbed_value(part) for name, part in value.items()}
        return [self._scrubbed_value(part) for part in value] if isinstance(value, list) else value


def _tls(settings: Settings) -> ssl.SSLContext | bool:
    if not settings.validate_certs:
        return False
    path = settings.ca_path
    try:
        if path and Path(path).is_dir():
            return ssl.create_default_context(capath=path)
        return ssl.create_default_context(cafile=path or None)
    except (OSError, ssl.SSLError):
        raise SourceError(f"ca_path {path} holds no certificates that can be read.") from None


def _sentence(detail: Any) -> str:
    """What a refusal says, as words: a 422 names each field and what is wrong with it."""
    if isinstance(detail, list):
        return "; ".join(_sentence(part) for part in detail)
    if not isinstance(detail, dict):
        return "" if detail is None else str(detail)
    said = next((detail[name] for name in ("msg", "message", "error", "detail") if detail.get(name)), None)
    if said is None:
        return ", ".join(f"{name}: {value}" for name, value in detail.items() if value not in (None, ""))
    place = detail.get("loc")
    names = [str(part) for part in place if part not in ("body", "query", "path")] if isinstance(place, list) else []
    return f"{'.'.join(names)}: {_sentence(said)}" if names else _sentence(said)


def _proxy(url: str) -> str | None:
    """The environment's proxy for ``url``. Raises SourceError, without the address, which may hold a password."""
    parts = urlsplit(url)
    if urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    address = urllib.request.getproxies().get(parts.scheme)
    if not address:
        return None
    address = address if "://" in address else f"http://{address}"
    try:
        read = URL(address)
        usable = read.scheme in ("http", "https") and bool(read.host) and bool(read.port)
    except ValueError:
        usable = False
    if not usable:
        raise SourceError(
            f"The proxy's address in {parts.scheme.upper()}_PROXY (or {parts.scheme}_proxy) cannot be read. Write it"
            " like http://proxy.example.com:3128; in a user name or a password write @ as %40, : as %3A and / as %2F."
        )
    return address


def _proxy_secrets(proxies: Mapping[str, str]) -> list[str]:
    """What stands before the host in the addresses of proxies, whether they can be read or not; the longest first."""
    found: set[str] = set()
    for address in proxies.values():
        user, at, _host = address.rpartition("://")[2].rpartition("@")
        if at:
            password = user.partition(":")[2]
            found |= {user, unquote(user), *(word for word in (password, unquote(password)) if len(word) > 2)}
    return sorted(found - {""}, key=lambda word: (-len(word), word))


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, from 0 to 120, of a Retry-After of seconds or of a date; the date is measured by the server's clock."""
    text = headers.get("Retry-After", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            when, now = (email.utils.parsedate_to_datetime(value) for value in (text, headers.get("Date", "")))
            seconds = (when - now).total_seconds()
        except (TypeError, ValueError, IndexError, OverflowError):
            return None
    return min(max(0.0, seconds), LONGEST_RETRY_AFTER) if math.isfinite(seconds) else None


# The loop

_ROLLOUTS_PATH = "/v1/instances/fleet/runtime/rollouts"


class Listing:
    """A list of rollouts, read page by page."""

    def __init__(self, pages: AsyncIterator[list[Record]]) -> None:
        self._pages = pages
        self.order, self.read, self.fleets = Order(), 0, 0

    async def next(self) -> list[Record]:
        """The next page's rows that were not on those before, none at the end."""
        rows: list[Record] = await anext(self._pages, [])
        self.order.note(epoch(row.get("created_at")) for row in rows)
        self.read += len(rows)
        self.fleets += sum(_is_fleet(row) for row in rows)
        return rows


class Follower:
    """Looks, notes what is known and what to tell, and hands the events over one after the other."""

    def __init__(
        self, settings: Settings, mark: Watermark, api: Api, queue: Any, feedback: asyncio.Queue | None
    ) -> None:
        self._settings, self._mark, self._api = settings, mark, api
        self._queue, self._feedback = queue, feedback
        # By instance: start of its newest deployment that was read, and until when that excuses it (epoch s).
        self._excused: dict[str, tuple[float, float]] = {}
        self._warned: set[str] = set()
        # Of the list of rollouts, what follows its first page, if that must be read.
        self._below: Listing | None = None

    async def run(self) -> None:
        await self._deliver()
        failures, down_since, next_instances = 0, 0.0, 0.0
        while True:
            pause = self._settings.interval
            try:
                await self._look_at_rollouts()
                if time.monotonic() >= next_instances:
                    next_instances = time.monotonic() + self._settings.instance_interval
                    await self._look_at_instances()
                await self._look_further()
                if failures:
                    log.warning("The API answers again after %.0f s.", time.monotonic() - down_since)
                failures = 0
            except Unavailable as problem:
                down_since = down_since if failures else time.monotonic()
                failures += 1
                pause = min(2.0 ** (failures - 1), LONGEST_PAUSE) * (0.75 + 0.25 * random.random())  # noqa: S311
                next_instances = 0.0
                log.warning("%s Trying again in %.0f s (failure %s).", _ended(problem), pause, failures)
            await asyncio.sleep(pause)

    # Rollouts

    async def _look_at_rollouts(self) -> None:
        """Look at the first page of the list; what may lie below it is ``_look_further``'s."""
        known = self._mark.known
        rollouts: dict[str, Record] = known.get("rollouts", {})
        floor = known.get("floor")
        listing = Listing(self._pages(_ROLLOUTS_PATH, ROLLOUTS_PAGE))
        try:
            rows = await listing.next()
        except NotFound:
            sentence = f"GET {_ROLLOUTS_PATH} failed with HTTP 404: {self._settings.api_url} serves no instance ops API"
            raise Unavailable(sentence, answered=True) if rollouts else SourceError(sentence + ".") from None
        await self._take(rows, on_top=True, first="rollouts" not in known)
        past = [_is_past(row, rollouts, floor) for row in rows]
        # Rows that show up late lie below newer ones: as much is read in short pages as in long ones.
        covered = listing.read >= ROLLOUTS_PAGE or rollouts.keys() <= {str(row["id"]) for row in rows}
        ends_in_past = not rows or (past[-1] and covered and listing.order.newest_first)
        self._below = None if ends_in_past and self._mark.known.get("past_read", True) else listing

    async def _look_further(self) -> None:
        """Look at the pages below the first one, down to rollouts that are known, or at first to the past."""
        listing, self._below = self._below, None
        if listing is None:
            return
        known, found, is_whole = self._mark.known, list[Record](), True
        first = not known.get("past_read", True)
        while rows := await listing.next():
            found += rows
            news = [row for row in rows if not _is_past(row, known["rollouts"], known["floor"])]
            if first:
                # The instances are wanted, too, and those are named by rollouts of the fleet.
                news = [row for row in news if not _is_over(row) or listing.fleets < DISCOVERY_FLEETS]
            if not news and listing.read >= ROLLOUTS_PAGE and listing.order.newest_first:
                is_whole = False
                break
        await self._take(found, on_top=False, first=first, is_whole=is_whole)

    async def _take(self, rows: list[Record], *, on_top: bool, first: bool, is_whole: bool = False) -> None:
        """Read what is due of the listed rollouts, and tell what has happened. ``first``: what is over is the past."""
        known = self._mark.known
        rollouts: dict[str, Record] = known.get("rollouts", {})
        floor = known.get("floor")
        listed = {str(row["id"]): row for row in rows}
        if not first:
            listed = {i: row for i, row in listed.items() if i in rollouts or not _is_past(row, rollouts, floor)}
        due = {i: row for i, row in listed.items() if is_due(rollouts.get(i), row)}
        if on_top:
            due |= {i: {} for i, old in rollouts.items() if i not in listed and old["phase"] != "finished"}
        unread, for_names = self._unread(due, len(rollouts)) if first else (set(), set())
        steps: dict[str, Step] = {i: Step(_unread_rollout(due[i], "finished"), []) for i in unread}
        names: dict[str, str] = dict(known.get("names", {}))

        async def read(rollout_id: str) -> None:
            old, row = rollouts.get(rollout_id), due[rollout_id]
            try:
                timeline = await self._timeline(rollout_id)
            except NotFound:
                log.warning("Rollout %s is gone from the API; it is followed no more.", rollout_id)
                gone = _unread_rollout(row, "finished")
                steps[rollout_id] = Step({**gone, "created": old["created"] if old else gone["created"]}, [])
                return
            except Unavailable as problem:
                if not problem.answered:
                    raise
                self._warn_once(str(problem))
                if first and self._settings.start_from == "now":
                    # When it can be read, it is not news but the past.
                    steps[rollout_id] = Step(_unread_rollout(row, "open"), [])
                return
            step = rollout_step(old, row or {"created_at": timeline.get("created_at")}, timeline)
            steps[rollout_id] = Step(step.known, []) if rollout_id in for_names else step
            self._note_instances(timeline, names)

        await _each([i for i in due if i not in unread], read)
        told = [row for i in sorted(steps, key=lambda i: steps[i].known["created"] or 0) for row in steps[i].events]
        rollouts = {**rollouts, **{i: step.known for i, step in steps.items()}}
        if first and not on_top and not is_whole:
            # What is older than the pages that were read is the past.
            floor = min((old["created"] for old in rollouts.values() if old["created"] is not None), default=floor)
        rollouts, floor = prune(rollouts, floor)
        fresh = {**known, "rollouts": rollouts, "floor": floor, "names": names}
        if first:
            fresh["past_read"] = not on_top
        if fresh != known:
            await self._tell(fresh, told if not first or self._settings.start_from == "earliest" else [])

    async def _pages(self, path: str, size: int, start: int = 0) -> AsyncGenerator[list[Record], None]:
        """The rows of a list from offset ``start`` on, page by page, each row once, to its end.

        A page without a new row is the end, unless rows that came in above have moved known ones into it.
        """
        offset, seen, idle = start, set[str](), 0
        for _call in range(MOST_PAGES):
            answer = await self._api.get(path, limit=size, offset=offset)
            if not isinstance(answer, list):
                raise Unavailable(f"GET {path}: the answer is no list", answered=True)
            rows = {str(row["id"]): row for row in records(answer) if row.get("id") is not None}
            fresh = [row for row_id, row in rows.items() if row_id not in seen]
            offset += len(answer)
            if not fresh:
                idle += 1
                if not rows or idle > IDLE_PAGES or (idle == 1 and await self._ignores_offset(path, size)):
                    return
                continue
            seen |= rows.keys()
            idle = 0
            yield fresh
        self._warn_once(f"GET {path}: the list has no end after {MOST_PAGES} pages; what follows is not read")

    async def _ignores_offset(self, path: str, size: int) -> bool:
        """Whether the server gives rows where no list has any: then every page is its first one."""
        return bool(records(await self._api.get(path, limit=size, offset=FAR)))

    async def _end_of(self, path: str, size: int, known: int) -> int:
        """An offset near the end of a list of at least ``known`` rows, found by halving."""
        low, step = known, size
        while await self._api.get(path, limit=1, offset=low + step):
            low, step = low + step, step * 2
        high = low + step
        while high - low > size:
            middle = (low + high) // 2
            low, high = (middle, high) if await self._api.get(path, limit=1, offset=middle) else (low, middle)
        return high

    def _unread(self, due: Mapping[str, Record], known: int) -> tuple[set[str], set[str]]:
        """Of a history that was never seen, the rollouts that are over: those that are not read, and those that are
        read for the names of the instances alone. ``known``: how many newer ones are known."""
        over = sorted(
            (i for i, row in due.items() if _is_over(row)), key=lambda i: -(epoch(due[i].get("created_at")) or 0)
        )
        told = set(over[: max(0, CLOSED_KEPT - known)]) if self._settings.start_from == "earliest" else set()
        fleets = [i for i in over if _is_fleet(due[i])]
        singles = [i for i in over if not _is_fleet(due[i])]
        names = set(fleets[:DISCOVERY_FLEETS]) | set(singles[:DISCOVERY_SINGLES])
        return set(over) - names - told, names - told

    async def _timeline(self, rollout_id: str) -> Record:
        path = f"/v1/instances/fleet/runtime-rollouts/{rollout_id}/timeline"
        answer = await self._api.get(path)
        if not isinstance(answer, dict) or not isinstance(answer.get("timeline"), list):
            raise Unavailable(f"GET {path}: the answer is no timeline", answered=True)
        return answer

    def _note_instances(self, timeline: Record, names: dict[str, str]) -> None:
        spelled = {same_id(known): known for known in names}
        for target in records(timeline["timeline"]):
            instance_id = words(target.get("instance_id"))
            if instance_id is None:
                continue
            instance_id = spelled.setdefault(same_id(instance_id), instance_id)
            if hostname := words(target.get("instance_hostname")):
                names[instance_id] = hostname
            else:
                names.setdefault(instance_id, instance_id)
            started, until = epoch(target.get("started_at")), excuse(target)
            if started is not None and until is not None and started >= self._excused.get(instance_id, (0.0,))[0]:
                self._excused[instance_id] = (started, until)

    # Instances

    async def _look_at_instances(self) -> None:
        if not self._settings.wants(*HEALTH_EVENTS, AUDIT_EVENT):
            return
        new = False
        ids = sorted(host_names(self._mark.known["names"], self._settings.instances))
        for start in range(0, len(ids), INSTANCES_AT_ONCE):
            health, audit = dict(self._mark.known.get("health", {})), dict(self._mark.known.get("audit", {}))
            told: list[Record] = []
            await _each(ids[start : start + INSTANCES_AT_ONCE], partial(self._look_at_instance, health, audit, told))
            known = {**self._mark.known, "health": health, "audit": audit}
            new = new or any(
                known[part].keys() != self._mark.known.get(part, {}).keys() for part in ("health", "audit")
            )
            await self._tell(known, told, note=bool(told))
        if new:
            # What was met for the first time counts from now on, although there was nothing to tell.
            await self._tell(self._mark.known, [])

    async def _look_at_instance(self, health: Record, audit: Record, told: list[Record], instance_id: str) -> None:
        """What is known of an instance now goes into ``health`` and ``audit``, what there is to tell into ``told``."""
        try:
            if self._settings.wants(*HEALTH_EVENTS):
                health[instance_id], events = await self._health(instance_id, health.get(instance_id))
                told += events
            if self._settings.wants(AUDIT_EVENT) and health.get(instance_id, {}).get("state") != "gone":
                audit[instance_id], events = await self._audit(instance_id, audit.get(instance_id))
                told += events
        except Unavailable as problem:
            if not problem.answered:
                raise
            self._warn_once(str(problem))

    async def _health(self, instance_id: str, known: Record | None) -> Step:
        try:
            health = await self._api.get(f"/v1/instances/{instance_id}/health/deep", force=self._settings.live)
        except NotFound:
            return health_step(known, instance_id, None)
        if not isinstance(health, dict):
            raise Unavailable(f"The health of instance {instance_id} is no object", answered=True)
        excused = self._excused.get(instance_id, (0.0, 0.0))[1]
        return health_step(known, instance_id, health, needed=self._settings.unhealthy_after, excused=excused)

    async def _audit(self, instance_id: str, known: Record | None) -> Step:
        past: Record = known or {"floor": None, "ids": {}}
        path = f"/v1/instances/{instance_id}/runtime/audit"
        try:
            rows, end = await (self._newest_audit(path, past) if known is None else self._new_audit(path, past))
        except NotFound:
            return Step(past, [])
        outcomes = self._settings.audit_outcomes if known or self._settings.start_from == "earliest" else ()
        return audit_step({**past, "end": end}, instance_id, rows, outcomes)

    async def _newest_audit(self, path: str, past: Record) -> tuple[list[Record], int]:
        """The newest audit events of a list that no look has seen, AUDIT_FIRST or more, and its end if that matters."""
        rows, order = [], Order()
        async with aclosing(self._pages(path, AUDIT_PAGE)) as pages:
            async for page in pages:
                order.note(map(audit_time, page))
                rows += page
                times = [at for row in rows if (at := audit_time(row)) is not None]
                # As far as a late event could lie: those that are there now are not news when a later look meets them.
                is_far = bool(times) and min(times) <= max(times) - AUDIT_LATENESS
                if len(rows) >= AUDIT_FIRST and (order.oldest_first or (order.newest_first and is_far)):
                    break
        if not order.oldest_first:
            return rows, 0
        start = max(0, await self._end_of(path, AUDIT_PAGE, len(rows)) - AUDIT_FIRST) if len(rows) >= AUDIT_FIRST else 0
        return await self._audit_from(path, past, start) if start else (rows, len(rows))

    async def _new_audit(self, path: str, past: Record) -> tuple[list[Record], int]:
        """What a list of audit events has that is new, and its end if it begins with the oldest ones."""
        if not past.get("end"):
            return await self._audit_from(path, past, 0)
        start, step = max(0, past["end"] - AUDIT_PAGE), AUDIT_PAGE
        while True:
            rows, end = await self._audit_from(path, past, start)
            # Retention takes rows away at the beginning. Nothing is missed if the first row read is not news.
            if not start or (rows and not audit_news(past, rows[:1])):
                return rows, end
            start, step = max(0, start - step), step * 2

    async def _audit_from(self, path: str, past: Record, start: int) -> tuple[list[Record], int]:
        """The rows from an offset to the end of the list, or of a list that begins with the newest to known ones."""
        rows, order, floor = [], Order(), past["floor"]
        async with aclosing(self._pages(path, AUDIT_PAGE, start)) as pages:
            async for page in pages:
                order.note(map(audit_time, page))
                rows += page
                times = [at for row in page if (at := audit_time(row)) is not None]
                is_old = not audit_news(past, page) and (floor is None or (times and min(times) <= floor))
                if order.newest_first and is_old:
                    break
        return rows, 0 if order.newest_first else start + len(rows)

    def _warn_once(self, sentence: str) -> None:
        if sentence not in self._warned:
            if len(self._warned) > 1000:
                self._warned.clear()
            self._warned.add(sentence)
            log.warning("%s The rest goes on.", _ended(sentence))

    # Handing over

    async def _tell(self, known: Record, events: list[Record], *, note: bool = True) -> None:
        """Note what is known and what follows from it, as one; then hand the events over.

        Without ``note`` it is kept in memory only, for what a later look would find again.
        """
        self._mark.known = known
        if not note:
            return
        wanted = [row for row in events if row["type"] in self._settings.events]
        names = host_names(known["names"], self._settings.instances)
        self._mark.commit([addressed(row, names) for row in wanted])
        await self._deliver()

    async def _deliver(self) -> None:
        while self._mark.outbox:
            row = self._mark.outbox[0]
            self._mark.note("put", row["id"])
            try:
                await self._queue.put({**row, "meta": dict(row["meta"])})
            except asyncio.CancelledError:
                self._mark.note("back", row["id"])
                raise
            if self._feedback is not None:
                await self._confirmed(row["id"])
            # Nothing is awaited between the hand-over and this line, so only a kill can come between them.
            self._mark.note("done", row["id"])
            del self._mark.outbox[0]

    async def _confirmed(self, event_id: str) -> None:
        """Wait until the rule engine has taken the event."""
        assert self._feedback is not None  # noqa: S101
        try:
            while True:
                answer = await asyncio.wait_for(self._feedback.get(), FEEDBACK_TIMEOUT)
                if answer.get("meta", {}).get("uuid") == event_id:
                    return
        except TimeoutError:
            log.warning("ansible-rulebook did not confirm the event %s within %.0f s.", event_id, FEEDBACK_TIMEOUT)


def _ended(sentence: object) -> str:
    text = str(sentence)
    return text if text.endswith((".", "?", "!")) else text + "."


def _unread_rollout(row: Mapping[str, Any], phase: str) -> Record:
    """What is known of a rollout of which only the list's row was read; what its timeline says first is no news."""
    created, mark = epoch(row.get("created_at")), list_mark(row)
    return {"created": created, "phase": phase, "mark": mark, "result": None, "targets": {}, "turn": 0, "unread": True}


def _is_fleet(row: Mapping[str, Any]) -> bool:
    return (number(row.get("total_targets")) or 0) > 1 or normalise(row.get("scope")) == "fleet"


def _is_past(row: Mapping[str, Any], rollouts: Mapping[str, Record], floor: float | None) -> bool:
    """Whether a listed rollout is known, or older than what is."""
    created = epoch(row.get("created_at"))
    return str(row["id"]) in rollouts or (floor is not None and created is not None and created <= floor)


def _is_over(row: Mapping[str, Any]) -> bool:
    moving = any(number(row.get(f"{word}_targets")) for word in ("queued", "in_progress"))
    return phase_of(row, ["queued"] if moving else []) == "finished"


async def _each(items: Iterable[str], call: Callable[[str], Awaitable[None]]) -> None:
    """Call for each item, AT_ONCE at a time; the first exception ends all."""
    todo = iter(items)

    async def work() -> None:
        for item in todo:
            await call(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _worker in range(AT_ONCE):
                group.create_task(work())
    except BaseExceptionGroup as problems:
        raise problems.exceptions[0] from None


async def main(queue: asyncio.Queue, args: dict[str, Any]) -> None:
    """Follow the fleet until cancelled. Raises SourceError with one sentence for what stays wrong."""
    try:
        if problem := inventory_problem(sys.argv, os.environ):
            raise SourceError(problem)
        settings = read_settings(args, os.environ)
        with Watermark(settings.watermark, settings.api_url) as mark:
            async with Api(settings) as api:
                await Follower(settings, mark, api, queue, args.get("eda_feedback_queue")).run()
    except SourceError as error:
        # ansible-rulebook prints where an exception came from, and this one is for people.
        raise error.with_traceback(None) from None


if __name__ == "__main__":

    class Printer:
        """Without ansible-rulebook: print each event."""

        async def put(self, row: Record) -> None:
            print(json.dumps(row), flush=True)  # noqa: T201

    logging.basicConfig(format="%(message)s")
    try:
        asyncio.run(main(Printer(), {}))  # type: ignore[arg-type]
    except KeyboardInterrupt:
        pass
    except SourceError as problem:
        raise SystemExit(str(problem)) from None
