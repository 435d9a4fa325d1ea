# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of behaviour.md 3.4 that have a single value: their defaults and valid values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, get_type_hints

Check = Callable[[Any], Any]


def _number(low: float = 0.0, high: float = float("inf")) -> Check:
    def check(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise ValueError(f"must be a number from {low} to {high}")
        return value

    return check


def _optional(check: Check) -> Check:
    return lambda value: None if value is None else check(value)


def _choice(*words: object) -> Check:
    def check(value: Any) -> Any:
        # 409 and "409" are equivalent: a number in JSON on a command line is easily quoted.
        for word in words:
            if value is word or (not isinstance(value, bool) and str(value) == str(word)):
                return word
        raise ValueError(f"must be one of {', '.join(str(word) for word in words)}")

    return check


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _span(value: Any) -> tuple[float, float]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = (value, value)
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError("must be a number of seconds or a pair [shortest, longest]")
    low, high = (_number()(part) for part in value)
    if low > high:
        raise ValueError("the first value is greater than the second")
    return (low, high)


def _shares(value: Any) -> dict[str, float]:
    if not isinstance(value, Mapping) or sum(value.values()) > 1:
        raise ValueError("must map outcomes to shares that sum to at most 1")
    for word in value:
        if word not in OUTCOMES:
            raise ValueError(f"{word!r} is not an outcome; the outcomes are {', '.join(OUTCOMES)}")
    return dict(value)


def _words(value: Any) -> str | dict[str, str]:
    if isinstance(value, Mapping):
        return {str(key): str(word) for key, word in value.items()}
    return str(_choice("canonical", "synonyms", "shouting")(value))


def _bucket(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not {"rps", "burst"} <= set(value) <= {"rps", "burst", "form"}:
        raise ValueError('must be {"rps": number, "burst": number, "form": "seconds" or "date"}')
    _number(low=0.001)(value["rps"])
    _number(low=1)(value["burst"])
    return {**value, "form": _choice("seconds", "date")(value.get("form", "seconds"))}


def _by_version(value: Any) -> dict[str, float]:
    if not isinstance(value, Mapping):
        raise ValueError("must map versions to shares between 0 and 1")
    return {str(version): float(_number(high=1.0)(share)) for version, share in value.items()}


def _survival(value: Any) -> bool | str:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.startswith("lossy(") and value.endswith(")") and value[6:-1].isdigit():
        return value
    raise ValueError("must be true, false or lossy(n)")


OUTCOMES = ("succeeded", "failed", "uncertain_applied", "uncertain_not_applied", "stuck")


@dataclass
class Knobs:
    """All seconds are virtual."""

    # time
    clock_skew_s: Annotated[float, _number(low=float("-inf"))] = 0.0
    deploy_s: Annotated[tuple[float, float], _span] = (10.0, 30.0)
    stagger_s: Annotated[float, _number()] = 1.0
    manifest_lag_s: Annotated[float, _number()] = 0.0
    list_lag_s: Annotated[float, _number()] = 0.0
    force_health_s: Annotated[float, _number()] = 0.0
    audit_ingest_lag_s: Annotated[float, _number()] = 20.0
    power_cycle_s: Annotated[float, _number()] = 2.0
    reboot_s: Annotated[float, _number()] = 60.0
    warmup_s: Annotated[float, _number()] = 2.0
    uptime_kind: Annotated[str, _choice("process", "host")] = "process"
    # health
    force_while_down: Annotated[object, _choice("cached", 404, 502, 503, 504)] = "cached"
    force_always_cached: Annotated[bool, _flag] = False
    # policy
    equal_hours: Annotated[str, _choice("open", "closed")] = "open"
    window_error: Annotated[object, _choice(403, 409, 422, "200_skip", "defer_countdown")] = 409
    window_applies_to: Annotated[str, _choice("fleet", "everything")] = "fleet"
    max_parallel_mode: Annotated[object, _choice("none", 409, 429, "queue")] = "queue"
    second_fleet: Annotated[object, _choice(409, "allow")] = 409
    retry_when_paused: Annotated[object, _choice(409, "queue", "run")] = 409
    skip_current: Annotated[bool, _flag] = True
    apply_all_role: Annotated[str, _choice("user", "admin")] = "user"
    # targets
    outcome_shares: Annotated[dict[str, float], _shares] = field(default_factory=dict)
    late_result_s: Annotated[float | None, _optional(_number())] = None
    bundle_change_at: Annotated[int | None, _optional(_number(low=1))] = None
    error_message: Annotated[str, str] = "bundle checksum mismatch on the agent"
    # replies
    tasks_shape: Annotated[str, _choice("ids", "strings", "empty", "foreign_keys", "rollout_id")] = "ids"
    task_id_null: Annotated[bool, _flag] = False
    celery_task_id_null: Annotated[bool, _flag] = False
    status_words: Annotated[str | dict[str, str], _words] = "canonical"
    null_bodies: Annotated[str, _choice("null", "object", "empty")] = "null"
    completed_at_empty: Annotated[str, _choice("null", "text")] = "null"
    timestamps: Annotated[str, _choice("offset", "naive", "z")] = "offset"
    # agents
    survives_redeploy: Annotated[bool | str, _survival] = True
    audit_per_hour: Annotated[float, _number(high=3600.0)] = 6.0
    audit_error_share: Annotated[float, _number(high=1.0)] = 0.02
    audit_denied_share: Annotated[float, _number(high=1.0)] = 0.01
    audit_bad_versions: Annotated[dict[str, float], _by_version] = field(default_factory=dict)
    audit_order: Annotated[str, _choice("event_ts", "ingested_at")] = "event_ts"
    audit_retention_s: Annotated[float | None, _optional(_number())] = None
    # churn
    insert_rollouts_per_s: Annotated[float, _number(high=1000.0)] = 0.0
    twin_rollouts: Annotated[int, _number(high=5)] = 0
    # the wire
    refuse_writes: Annotated[bool, _flag] = False
    rate_limit: Annotated[dict[str, Any] | None, _optional(_bucket)] = None

    def change(self, values: Mapping[str, Any]) -> None:
        """Set all the given knobs. Raises ValueError for the first invalid value, and then sets none."""
        accepted = {}
        for name, value in values.items():
            if name not in CHECKS:
                raise ValueError(f"there is no knob {name!r}")
            try:
                accepted[name] = CHECKS[name](value)
            except (TypeError, ValueError) as problem:
                raise ValueError(f"knob {name}: {problem} (got {value!r})") from problem
        for name, value in accepted.items():
            setattr(self, name, value)


CHECKS: dict[str, Check] = {
    name: hint.__metadata__[0] for name, hint in get_type_hints(Knobs, include_extras=True).items()
}
