# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test: whether a time lies in the maintenance window of an update policy."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.fleetops.agents.plugins.module_utils._api.models import parse_time
from ansible_collections.fleetops.agents.plugins.module_utils._api.window import Window

_HOURS = ("maintenance_window_start_hour_utc", "maintenance_window_end_hour_utc")


def in_maintenance_window(at: Any, policy: Any = None) -> bool:
    """Whether ``at`` lies in the window of ``policy`` (E9); with a policy alone, whether now does.

    ``at``: a datetime, ISO 8601 text (UTC without a zone), or epoch seconds. Raises AnsibleFilterError with a sentence
    for anything else.
    """
    if policy is None and isinstance(at, Mapping):
        at, policy = time.time(), at
    if not isinstance(policy, Mapping) or not any(key in policy for key in _HOURS):
        raise AnsibleFilterError(
            "in_maintenance_window needs an update policy with maintenance_window_start_hour_utc and "
            f"maintenance_window_end_hour_utc, for example of update_policy_info; it got {type(policy).__name__}."
        )
    moment = parse_time(at.isoformat() if hasattr(at, "isoformat") else at)
    if moment is None:
        raise AnsibleFilterError(
            f"in_maintenance_window cannot read the time {at!r}: give ISO 8601 text, a datetime or epoch seconds."
        )
    return Window.of_policy(policy).is_open(moment)


class TestModule:
    """Ansible's way to the tests of this file."""

    def tests(self) -> dict[str, Callable[..., bool]]:
        return {"in_maintenance_window": in_maintenance_window}
