# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test: whether a time lies in the maintenance window of an update policy."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ..module_utils._rules.answers import parse_time
from ..module_utils._rules.policy import HOUR_KEYS
from ..module_utils._rules.window import Window


def in_maintenance_window(value: Any, policy: Any = None, at: Any = None) -> bool:
    """Whether a time lies in the maintenance window of an update policy (E9).

    ``value`` is a time and ``policy`` a policy, or ``value`` is a policy, and ``at`` a time, by default now. A time is
    a datetime, ISO 8601 text (UTC without a zone), or epoch seconds, also as text. Raises AnsibleFilterError with a
    sentence for other values, and for a policy with invalid hours.
    """
    if isinstance(value, Mapping):
        if policy is not None:
            raise AnsibleFilterError("in_maintenance_window got two policies. If its input is a policy, give only at.")
        return _is_open(value, time.time() if at is None else _moment(at))
    if at is not None:
        raise AnsibleFilterError(f"in_maintenance_window got two times, {value!r} and {at!r}. Leave out at.")
    return _is_open(policy, _moment(value))


def _is_open(policy: Any, at: float) -> bool:
    if not isinstance(policy, Mapping) or not any(key in policy for key in HOUR_KEYS):
        raise AnsibleFilterError(
            "in_maintenance_window needs an update policy with maintenance_window_start_hour_utc and "
            f"maintenance_window_end_hour_utc, for example from update_policy_info; it got {_shown(policy)}."
        )
    window = Window.of_policy(policy)
    if window.problem:
        raise AnsibleFilterError(window.problem)
    return window.is_open(at)


def _moment(at: Any) -> float:
    moment = parse_time(at.isoformat() if hasattr(at, "isoformat") else at)
    if moment is None:
        raise AnsibleFilterError(
            f"in_maintenance_window cannot read the time {at!r}: give ISO 8601 text, a datetime or epoch seconds."
        )
    return moment


def _shown(policy: Any) -> str:
    if isinstance(policy, Mapping):
        return "a mapping without them"
    return "none" if policy is None else repr(policy)[:60]


class TestModule:
    """Registers the tests of this file with Ansible."""

    def tests(self) -> dict[str, Callable[..., bool]]:
        return {"in_maintenance_window": in_maintenance_window}
