# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The update policy (E9) for the lookups. It is reused for 2 seconds within a process. A failure is never reused."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ansible_collections.fleetops.agents.plugins.module_utils._client.client import FleetClient, SettingsError
from ansible_collections.fleetops.agents.plugins.module_utils._client.errors import ApiError
from ansible_collections.fleetops.agents.plugins.module_utils._module.options import open_client
from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import Record, max_parallel_rollouts
from ansible_collections.fleetops.agents.plugins.module_utils._rules.printable import printable_values
from ansible_collections.fleetops.agents.plugins.module_utils._rules.record_words import as_sentence
from ansible_collections.fleetops.agents.plugins.module_utils._rules.window import Window

# Ansible evaluates a throttle twice for each host. A policy that is 2 seconds old is recent enough for that.
FRESH_SECONDS = 2.0

_policies: dict[str, tuple[float, Record]] = {}


class PolicyError(Exception):
    """The policy cannot be read, or does not allow redeploys. The message is one sentence."""


def update_policy(option: Callable[[str], Any], *, clock: Callable[[], float] = time.monotonic) -> Record:
    """The tenant's policy (E9), at most 2 seconds old. ``option(name)``: the value of a connection option.

    Raises PolicyError.
    """
    try:
        client = open_client(option, read_only=True)
    except (SettingsError, ImportError) as problem:
        raise PolicyError(f"The update policy cannot be read: {problem}") from problem
    try:
        return _fresh_policy(client, clock)
    finally:
        client.close()


def parallel_limit(policy: Record) -> int:
    """How many instances may be redeployed at once, 1 or more. Raises PolicyError if the policy allows none."""
    try:
        return max_parallel_rollouts(policy)
    except ValueError as refusal:
        raise PolicyError(as_sentence(refusal)) from refusal


def readable_window(policy: Record) -> None:
    """Raise PolicyError if the hours of the maintenance window are invalid."""
    problem = Window.of_policy(policy).problem
    if problem:
        raise PolicyError(problem)


def _fresh_policy(client: FleetClient, clock: Callable[[], float]) -> Record:
    identity = client.transport.settings.identity
    known = _policies.get(identity)
    if known is not None and 0 <= clock() - known[0] < FRESH_SECONDS:
        return dict(known[1])
    try:
        policy = client.get_fleet_update_policy()
    except ApiError as failure:
        raise PolicyError(f"The update policy cannot be read. {failure}") from failure
    # Ansible shows the value of a lookup unchanged.
    policy = printable_values(policy)
    _policies[identity] = (clock(), policy)
    return dict(policy)
