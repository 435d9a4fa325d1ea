# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is passed to the store: rows keyed by column name, and how far each source has been read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import plain_text

Row = dict[str, Any]

PREDICTED = 2
"""The value of host_results.changed for a change that a task in check mode predicted."""


@dataclass
class Cursor:
    """How far one source has been read (table ingest_cursors)."""

    source: str
    scope: str
    position: int | None = None
    bad_lines: int = 0
    state: dict[str, Any] = field(default_factory=dict)
    last_id: str | None = None
    last_ts: float | None = None
    last_ok_at: float | None = None
    last_error: str | None = None
    gap_from: float | None = None
    gap_to: float | None = None

    def note(self, at: float, problems: Sequence[str]) -> None:
        """Record the result of reading the source at ``at``: successful if there are no problems."""
        self.last_error = " ".join(problems) or None
        if not problems:
            self.last_ok_at = at


@dataclass
class RunRows:
    """The content of some events of one run, as rows by table.

    ``hosts``: Ansible's own recap, present once the run has ended. ``in_flight``: all tasks that are running.
    """

    run: Row
    plays: list[Row] = field(default_factory=list)
    tasks: list[Row] = field(default_factory=list)
    results: list[Row] = field(default_factory=list)
    links: list[Row] = field(default_factory=list)
    evidence: list[Row] = field(default_factory=list)
    hosts: list[Row] = field(default_factory=list)
    in_flight: list[Row] = field(default_factory=list)


@dataclass
class RolloutRead:
    """One rollout as read from the API at ``read_at``. ``targets`` is None if they could not be read.

    ``again``: whether to read it again although its row may not change, because it has ended and not all of its targets
    were listed as ended.
    """

    rollout: Row
    targets: list[Row] | None
    read_at: float
    again: bool = False


@dataclass
class InstanceRows:
    """What was read about one instance, as rows by table. Parts that were not read stay empty.

    ``state``: only those columns of instance_state that were read.
    """

    state: Row | None = None
    health: Row | None = None
    versions: Row | None = None
    actions: list[Row] = field(default_factory=list)


SENDING, SENT, FAILED, GAVE_UP = "sending", "sent", "failed", "gave up"
"""Outcomes of a notification. sending: an attempt began, and its result has not been recorded (yet)."""


@dataclass(frozen=True)
class Notification:
    """A row of the table notifications: one fact for one destination. Times are epoch seconds (UTC)."""

    destination: str
    subject: str
    key: str
    state: str
    at: float | None
    title: str
    since: float
    outcome: str
    attempts: int = 0
    interrupted: int = 0
    begun_at: float = 0.0
    ended_at: float | None = None
    error: str | None = None
    over_at: float | None = None


def to_json(value: Any) -> str:
    """Compact JSON text with stable key order, so that equal data gives equal text.

    NaN and the infinities, which are not valid JSON and which SQLite cannot read, are written as strings.
    """
    form: dict[str, Any] = {"sort_keys": True, "separators": (",", ":"), "ensure_ascii": False, "default": str}
    try:
        text = json.dumps(value, allow_nan=False, **form)
    except ValueError:
        text = json.dumps(json.loads(json.dumps(value, **form), parse_constant=str), **form)
    return storable(text)


def storable(text: str) -> str:
    """``text`` with lone surrogates (which JSON can carry and SQLite cannot store) as ``?``."""
    return text.encode("utf-8", "replace").decode("utf-8")


def as_text(value: Any) -> str | None:
    """A text or a number as text; None for a blank text and any other value, as in the modules."""
    text = plain_text(value)
    return None if text is None else storable(text).strip()
