# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Reading the API's answers: status words, counters, times, versions. Pure functions on plain data.

In the reference every status is a plain string without a list of values (behaviour 2.4). So words are
normalised and synonyms are mapped. An unknown word is kept, and the counters and completed_at decide instead.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Record = dict[str, Any]

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_TOO_LARGE = 2.0**63
# Every whole number below this can be represented exactly as a float.
_SMALL = 2**53
# A text of nine or more digits is a number of seconds. Python would read some of them as ISO 8601.
_EPOCH = re.compile(r"\d{9,}(\.\d+)?", re.ASCII)
_FINER_THAN_SECONDS = 1e11
# Only times from 1970 to this moment in the year 2242 are valid.
FIRST_TIME, PAST_LAST_TIME = 0.0, 2.0**33
# Python can write times of the years 1 to 9999.
_EARLIEST_WRITTEN, _LATEST_WRITTEN = -62135596800.0, 253402300800.0

_TARGET_WORDS = {
    "queued": ("queued", "pending", "scheduled", "enqueued", "waiting", "created"),
    "in_progress": ("in_progress", "running", "started", "deploying", "active"),
    "succeeded": ("succeeded", "success", "completed", "done", "ok"),
    "failed": ("failed", "failure", "error", "timed_out"),
    "uncertain": ("uncertain", "unknown", "lost", "indeterminate"),
    "cancelled": ("cancelled", "canceled", "revoked", "aborted", "skipped"),
}
_ROLLOUT_WORDS = {
    "pending": ("pending", "queued"),
    "in_progress": ("in_progress", "running", "active", "started"),
    "paused": ("paused", "pausing", "on_hold"),
    "cancelling": ("cancelling", "canceling"),
    "completed": ("completed", "succeeded", "success", "done"),
    "partial": ("partial", "completed_with_errors", "partially_failed"),
    "failed": ("failed", "error"),
    "cancelled": ("cancelled", "canceled", "revoked"),
}
_TARGET = {word: canonical for canonical, words in _TARGET_WORDS.items() for word in words}
_ROLLOUT = {word: canonical for canonical, words in _ROLLOUT_WORDS.items() for word in words}

TARGET_TERMINAL = frozenset({"succeeded", "failed", "uncertain", "cancelled"})
TARGET_OPEN = frozenset({"queued", "in_progress"})
ROLLOUT_TERMINAL = frozenset({"completed", "partial", "failed", "cancelled"})
ROLLOUT_OPEN = frozenset({"pending", "in_progress", "paused", "cancelling"})


def normalise(word: Any) -> str:
    """A word in lower case, with ``_`` for hyphens and blanks. None becomes an empty text."""
    return re.sub(r"[\s\-]+", "_", str(word).strip().lower()) if word is not None else ""


def target_status(word: Any) -> str:
    """The canonical status of a target. An unknown word is returned normalised."""
    text = normalise(word)
    return _TARGET.get(text, text)


def rollout_status(word: Any) -> str:
    """The canonical status of a rollout. An unknown word is returned normalised."""
    text = normalise(word)
    return _ROLLOUT.get(text, text)


def number(value: Any) -> float | None:
    """A number, from a number or its text; None for any other value.

    Also None for a number that is infinite or NaN, or too large for 64 bits: no count or time is that large.
    """
    if isinstance(value, str):
        value = value.strip()
        if not _NUMBER.fullmatch(value):
            return None
    elif isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        result = float(value)
    except OverflowError:
        return None
    return result if abs(result) < _TOO_LARGE else None


def whole(value: Any) -> int | None:
    """A whole number, from a number or its text; None for any other value, including a fraction."""
    result = number(value)
    return int(result) if result is not None and result.is_integer() else None


def amount(value: Any) -> float | None:
    """A number that cannot be negative (a duration, a delay); None for any other value."""
    result = number(value)
    return result if result is not None and result >= 0 else None


def known_count(value: Any) -> int | None:
    """A count; None for a value that cannot be a count (absent, negative, a fraction, not a number)."""
    # A fast path for the usual case, since an answer can contain hundreds of counts.
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _SMALL:
        return value
    result = whole(value)
    return result if result is not None and result >= 0 else None


def count(value: Any) -> int:
    """A count, or 0 if it is unknown."""
    return known_count(value) or 0


def parse_time(text: Any) -> float | None:
    """Epoch seconds (UTC) of an ISO 8601 text, or of a number of epoch seconds or milliseconds; otherwise None.

    A text without a zone is read as UTC (behaviour 2.4). None for an empty text, and for times outside the years 1970
    to 2242, since some servers write 0001-01-01 or 9999-12-31 for "never".
    """
    if isinstance(text, str) and not _EPOCH.fullmatch(text.strip()):
        return in_range(_of_iso(text.strip()))
    moment = number(text)
    if moment is None:
        return None
    # Milliseconds or an even smaller unit: as seconds, such a number would be a time after the year 5000.
    while moment >= _FINER_THAN_SECONDS:
        moment /= 1000
    return in_range(moment)


def _of_iso(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (OverflowError, ValueError, OSError):
        return None


def in_range(at: float | None) -> float | None:
    """``at`` if it is between 1970 and 2242, else None. See parse_time."""
    return at if at is not None and FIRST_TIME <= at < PAST_LAST_TIME else None


def iso_time(at: float | None) -> str | None:
    """ISO 8601 text (UTC, whole seconds) of epoch seconds; None for None and for an invalid time."""
    if at is None or not math.isfinite(at) or not _EARLIEST_WRITTEN <= at < _LATEST_WRITTEN:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def text_or_none(value: Any) -> str | None:
    """``value`` if it is a text that is not blank, else None."""
    return value if isinstance(value, str) and value.strip() else None


def plain_text(value: Any) -> str | None:
    """A text that is not blank, or a number as text; None for any other value, which cannot be an id or a name."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return text_or_none(value)


def records_in(value: Any) -> list[Record]:
    """The mappings in a list; an empty list for any other value."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


@dataclass(frozen=True)
class Counters:
    """How many targets of a rollout have each status. ``cancelled`` is calculated, as the API has no counter for it."""

    total: int
    queued: int
    in_progress: int
    succeeded: int
    failed: int
    uncertain: int

    @property
    def cancelled(self) -> int:
        return max(0, self.total - self.queued - self.in_progress - self.succeeded - self.failed - self.uncertain)

    @property
    def open(self) -> int:
        """The number of targets that are queued or in progress."""
        return self.queued + self.in_progress

    def as_dict(self) -> dict[str, int]:
        return {
            "total": self.total,
            "queued": self.queued,
            "in_progress": self.in_progress,
            "succeeded": self.succeeded,
            "failed": self.failed,
            "uncertain": self.uncertain,
            "cancelled": self.cancelled,
        }


def counters(rollout: Mapping[str, Any]) -> Counters:
    """The counters of a rollout record (E3, E4)."""
    return Counters(
        total=count(rollout.get("total_targets")),
        queued=count(rollout.get("queued_targets")),
        in_progress=count(rollout.get("in_progress_targets")),
        succeeded=count(rollout.get("succeeded_targets")),
        failed=count(rollout.get("failed_targets")),
        uncertain=count(rollout.get("uncertain_targets")),
    )


def counters_of_targets(targets: Iterable[Mapping[str, Any]]) -> Counters:
    """The counters according to the target rows. They take precedence over the rollout record (behaviour 2.4)."""
    words = [target_status(t.get("status")) for t in targets]
    known = {word: words.count(word) for word in ("queued", "in_progress", "succeeded", "failed", "uncertain")}
    return Counters(total=len(words), **known)


def target_is_terminal(target: Mapping[str, Any]) -> bool:
    """Whether a target has ended, by its status or, if that word is unknown, by completed_at."""
    word = target_status(target.get("status"))
    if word in TARGET_TERMINAL:
        return True
    if word in TARGET_OPEN:
        return False
    return parse_time(target.get("completed_at")) is not None


def rollout_is_terminal(rollout: Mapping[str, Any], targets: Sequence[Mapping[str, Any]] | None = None) -> bool:
    """Whether a rollout has ended.

    A known status decides, unless the counters or the target rows show that something is still queued or in progress.
    If the status is unknown, the counters or rows and completed_at decide.
    """
    word = rollout_status(rollout.get("status"))
    tally = counters_of_targets(targets) if targets else counters(rollout)
    if word in ROLLOUT_OPEN or tally.open > 0:
        return False
    if word in ROLLOUT_TERMINAL:
        return True
    return parse_time(rollout.get("completed_at")) is not None


# The scopes of rollouts of one instance, and of more than one.
SINGLE_SCOPES = frozenset({"instance", "single"})
FLEET_SCOPES = frozenset({"fleet", "tenant", "all"})


def is_single_target(rollout: Mapping[str, Any]) -> bool:
    """Whether a rollout is the redeploy of one instance (E22, E24) and not a fleet rollout (E2)."""
    scope = normalise(rollout.get("scope"))
    if scope in SINGLE_SCOPES:
        return True
    if scope in FLEET_SCOPES:
        return False
    total = rollout.get("total_targets")
    return total is None or known_count(total) in (0, 1)


def in_flight(rollouts: Iterable[Mapping[str, Any]]) -> int:
    """The number of targets of all given rollouts that are in progress or may start, whoever started the rollouts.

    Queued targets count, since the server may start them at any time, but not those of a paused rollout. If a rollout
    that has not ended lacks these counters, each target that is not known to have ended counts.
    """
    return sum(map(_in_flight, rollouts))


def _in_flight(rollout: Mapping[str, Any]) -> int:
    tally, paused = counters(rollout), rollout_status(rollout.get("status")) == "paused"
    known = tally.in_progress + (0 if paused else tally.queued)
    needed = ("in_progress_targets",) if paused else ("in_progress_targets", "queued_targets")
    if all(known_count(rollout.get(name)) is not None for name in needed) or rollout_is_terminal(rollout):
        return known
    return max(known, 1, tally.cancelled + known)


def boot_time(health: Mapping[str, Any]) -> float | None:
    """When the agent started: checked_at - uptime_seconds (E15, E16), epoch seconds of the server's clock, or None."""
    checked, uptime = parse_time(health.get("checked_at")), amount(health.get("uptime_seconds"))
    return in_range(checked - uptime) if checked is not None and uptime is not None else None


_HEALTHY = frozenset({"healthy", "ok", "up", "pass", "passing", "green"})


def is_healthy(health: Mapping[str, Any]) -> bool:
    """Whether a deep health record says that the instance is healthy."""
    return normalise(health.get("status")) in _HEALTHY


def is_live(health: Mapping[str, Any]) -> bool:
    """Whether a deep health record was measured for this call, and not taken from the server's cache."""
    return health.get("cached") is False


def runtime_component(updates: Mapping[str, Any]) -> Record:
    """The row of the runtime in E25; an empty mapping if there is none."""
    runtime = updates.get("runtime")
    return dict(runtime) if isinstance(runtime, Mapping) else {}


def max_parallel_rollouts(policy: Mapping[str, Any]) -> int:
    """``max_parallel_rollouts`` of E9, an integer of 1 or more.

    Raises ValueError with a sentence if it is absent, not a whole number, or below 1. Such a value must never be used
    for Ansible's serial, which reads 0 as "all hosts at once".
    """
    value = policy.get("max_parallel_rollouts")
    if value is None:
        raise ValueError("the update policy's max_parallel_rollouts is not given by the server; nothing is started")
    limit = whole(value)
    if limit is None:
        raise ValueError(
            f"the update policy's max_parallel_rollouts is {repr(value)[:60]}, which is not a whole number; nothing"
            " is started. The module fleetops.agents.update_policy can change it"
        )
    if limit < 1:
        raise ValueError(
            f"the update policy's max_parallel_rollouts is {limit}: rollouts are switched off; nothing is started. The"
            " module fleetops.agents.update_policy can change it"
        )
    return limit
