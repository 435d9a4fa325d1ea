# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The table of all endpoints, and which calls may be sent again after which failures (behaviour 2.1, 2.3, 2.5)."""

from __future__ import annotations

import email.utils
import re
from dataclasses import dataclass
from datetime import UTC
from enum import Enum

from .._rules.answers import in_range, number
from .._rules.policy import COMPONENTS, TENANT_KEYS


class Repeat(Enum):
    """Whether a call whose outcome is unknown is sent again. A call that was not carried out may always be repeated."""

    READ = "read"  # a GET: up to the number of retries
    READ_ONCE_MORE = "read_once_more"  # a forced health read: once, because it loads the agent
    ABSOLUTE = "absolute"  # a write that has the same effect if it is sent twice: up to the number of retries
    NEVER = "never"  # its effect is looked up instead


@dataclass(frozen=True)
class Endpoint:
    """One operation. ``number``: 1 to 26 for E1 to E26, 0 for any other call. ``path``: with parameters in braces.

    ``read_timeout``: wait at least this many seconds for the answer; None: only the setting request_timeout applies.
    """

    number: int
    name: str
    method: str
    path: str
    repeat: Repeat
    read_timeout: float | None = None

    @property
    def writes(self) -> bool:
        return self.method != "GET"


_READ, _ABSOLUTE, _NEVER = Repeat.READ, Repeat.ABSOLUTE, Repeat.NEVER
_BASE = "/v1/instances"
_FLEET = _BASE + "/fleet"
_ONE = _BASE + "/{instance_id}"
_ROLLOUT = _FLEET + "/runtime/rollouts/{rollout_id}"
# The read_timeout of restarts and live health checks, which may take long (behaviour 2.5).
_SLOW = 60.0

ENDPOINTS: dict[str, Endpoint] = {
    e.name: e
    for e in (
        Endpoint(1, "get_rollout_timeline", "GET", _FLEET + "/runtime-rollouts/{rollout_id}/timeline", _READ),
        Endpoint(2, "start_fleet_rollout", "POST", _FLEET + "/runtime/rollout", _NEVER),
        Endpoint(3, "list_fleet_rollouts", "GET", _FLEET + "/runtime/rollouts", _READ),
        Endpoint(4, "get_rollout", "GET", _ROLLOUT, _READ),
        # E5 to E8 are never repeated by the client: the module reads E4 first, and then decides.
        Endpoint(5, "cancel_rollout", "POST", _ROLLOUT + "/cancel", _NEVER),
        Endpoint(6, "pause_rollout", "POST", _ROLLOUT + "/pause", _NEVER),
        Endpoint(7, "resume_rollout", "POST", _ROLLOUT + "/resume", _NEVER),
        Endpoint(8, "retry_rollout_target", "POST", _ROLLOUT + "/targets/{target_id}/retry", _NEVER),
        Endpoint(9, "get_fleet_update_policy", "GET", _FLEET + "/updates/policy", _READ),
        Endpoint(10, "set_fleet_update_policy", "PATCH", _FLEET + "/updates/policy", _ABSOLUTE),
        Endpoint(11, "list_instance_actions", "GET", _ONE + "/actions", _READ),
        Endpoint(12, "clear_circuit_breakers", "POST", _ONE + "/actions/clear-circuit-breakers", _ABSOLUTE),
        Endpoint(13, "power_cycle", "POST", _ONE + "/actions/power-cycle", _NEVER, _SLOW),
        Endpoint(14, "reboot", "POST", _ONE + "/actions/reboot", _NEVER, _SLOW),
        Endpoint(15, "run_diagnostics", "POST", _ONE + "/actions/run-diagnostics", _ABSOLUTE, _SLOW),
        Endpoint(16, "get_deep_health", "GET", _ONE + "/health/deep", _READ),
        Endpoint(17, "list_memories", "GET", _ONE + "/memory", _READ),
        Endpoint(18, "store_memory", "POST", _ONE + "/memory", _NEVER),
        Endpoint(19, "clear_memories", "DELETE", _ONE + "/memory", _NEVER),
        Endpoint(20, "list_audit_events", "GET", _ONE + "/runtime/audit", _READ),
        Endpoint(21, "get_audit_summary", "GET", _ONE + "/runtime/audit/summary", _READ),
        Endpoint(22, "redeploy_runtime", "POST", _ONE + "/runtime/redeploy", _NEVER),
        Endpoint(23, "list_instance_rollouts", "GET", _ONE + "/runtime/rollouts", _READ),
        Endpoint(24, "apply_all_updates", "POST", _ONE + "/updates/apply-all", _NEVER),
        Endpoint(25, "get_available_updates", "GET", _ONE + "/updates/available", _READ),
        Endpoint(26, "set_instance_update_policy", "PATCH", _ONE + "/updates/policy", _ABSOLUTE),
    )
}


_HEALTH = frozenset({"status", "subsystems", "uptime_seconds", "checked_at", "cached"})
_TENANT_POLICY = frozenset(TENANT_KEYS)
_POLICY = frozenset(
    f"{component}{what}" for component in COMPONENTS for what in ("", "_override", "_source", "_auto_supported")
)
_ACTION = frozenset({"action", "action_id", "status", "duration_ms"})

# The expected keys of answers that are not lists, without those that an error may have too: ``instance_id``,
# ``message`` and ``detail``.
KEYS: dict[str, frozenset[str]] = {
    "start_fleet_rollout": frozenset({"enqueued", "skipped", "total", "tasks"}),
    "get_fleet_update_policy": _TENANT_POLICY,
    "set_fleet_update_policy": _TENANT_POLICY,
    "clear_circuit_breakers": _ACTION,
    "power_cycle": _ACTION,
    "reboot": _ACTION,
    "run_diagnostics": _HEALTH,
    "get_deep_health": _HEALTH,
    "store_memory": frozenset({"memory", "status"}),
    "clear_memories": frozenset({"deleted", "status"}),
    "get_audit_summary": frozenset({"total_events", "success_events", "error_events", "denied_events", "by_source"}),
    "redeploy_runtime": frozenset({"status", "task_id"}),
    "apply_all_updates": frozenset({"runtime_task_id", "skills_applied"}),
    "get_available_updates": frozenset(
        {"total_available", "versions_reported_at", "runtime", "skills", "mcp_servers", "update_policy"}
    ),
    "set_instance_update_policy": _POLICY,
}


class AttemptOutcome(Enum):
    """The outcome of one attempt."""

    NOT_SENT = "not_sent"  # connection refused, unknown host name, no route
    NOT_EXECUTED = "not_executed"  # status 429, or 503 with Retry-After
    REFUSED = "refused"  # any other 4xx: the same call would fail again
    UNKNOWN = "unknown"  # 5xx, 408, 1xx, lost connection, timeout, unreadable answer


def outcome_of_status(status: int, has_retry_after: bool) -> AttemptOutcome | None:
    """The outcome of an attempt that was answered with this HTTP status; None for a success."""
    if 200 <= status < 300:
        return None
    if status == 429 or (status == 503 and has_retry_after):
        return AttemptOutcome.NOT_EXECUTED
    # After a status below 200, the answer itself is missing. With 408, a gateway gives up a call that took too long.
    if status >= 500 or status < 200 or status == 408:
        return AttemptOutcome.UNKNOWN
    return AttemptOutcome.REFUSED


def may_repeat(repeat: Repeat, outcome: AttemptOutcome, attempt: int, retries: int) -> bool:
    """Whether another attempt may follow attempt number ``attempt`` (1, 2, ...)."""
    if outcome is AttemptOutcome.REFUSED or attempt > retries:
        return False
    if outcome in (AttemptOutcome.NOT_SENT, AttemptOutcome.NOT_EXECUTED):
        return True
    if repeat is Repeat.READ_ONCE_MORE:
        return attempt < 2
    return repeat in (Repeat.READ, Repeat.ABSOLUTE)


LONGEST_RETRY_AFTER = 120.0
_ENDLESS = re.compile(r"[0-9]{16,}", re.ASCII)
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 8.0


def retry_after_seconds(header: str | None, server_now: float | None) -> float | None:
    """Seconds that a Retry-After header asks to wait, from 0 to 120; None if it is missing or invalid.

    The header contains seconds or an HTTP date. A date is compared with ``server_now`` (the Date header of the same
    answer, epoch seconds), so that a wrong local clock does not matter.
    """
    if header is None:
        return None
    text = header.strip()
    # A number that is too large for a time also means the longest pause.
    seconds = LONGEST_RETRY_AFTER if _ENDLESS.fullmatch(text) else number(text)
    if seconds is None:
        when = http_date(text)
        if when is None or server_now is None:
            return None
        seconds = when - server_now
    return min(max(0.0, seconds), LONGEST_RETRY_AFTER)


def http_date(text: str | None) -> float | None:
    """Epoch seconds of an HTTP date (``Date``, ``Retry-After``), or None."""
    if not text:
        return None
    try:
        moment = email.utils.parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, IndexError, OverflowError):
        return None


def server_time_of(date: str | None) -> float | None:
    """Epoch seconds of a Date header; None if it is missing or invalid, or before 1970 or after 2242."""
    return in_range(http_date(date))


def pause_before_repeat(attempt: int, retry_after: float | None, jitter: float) -> float:
    """Seconds to wait after attempt number ``attempt``. ``jitter``: a random number from 0 to 1.

    The pauses are 0.5, 1, 2 ... 8 s, half of each random. If the server asks for a longer pause, it is that pause plus
    a small random part. A shorter one is ignored, since all attempts would be used up before the server has recovered.
    """
    full = min(_FIRST_PAUSE * 2 ** min(attempt - 1, 10), _LONGEST_PAUSE)
    ordinary = full * (0.5 + 0.5 * jitter)
    if retry_after is None:
        return ordinary
    return max(ordinary, retry_after + jitter * min(1.0, 0.1 * retry_after + 0.05))
