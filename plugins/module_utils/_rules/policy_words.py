# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The tenant's update policy (E9) in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .answers import max_parallel_rollouts
from .record_words import as_sentence, counted, text_of
from .window import Window


def policy_lines(policy: Mapping[str, Any], at: float, *, predicted: bool = False) -> list[str]:
    """A sentence about the number of redeploys at once, one about the window at ``at`` (epoch seconds), and one about
    what is done with new versions.

    ``predicted``: whether a task in check mode would set this policy. A first sentence then says so.
    """
    try:
        limit = max_parallel_rollouts(policy)
        most = f"At most {counted(limit, 'redeploy')} at once."
    except ValueError as problem:
        most = as_sentence(problem)
    first = ["Nothing was changed (check mode). The policy would be:"] if predicted else []
    return [*first, most, Window.of_policy(policy).sentence(at), f"New versions: {_updates(policy)}."]


def _updates(policy: Mapping[str, Any]) -> str:
    """What the policy says about new versions of each kind: ``runtime notify, skills auto, MCP servers unknown``."""
    kinds = {"runtime": "runtime_default", "skills": "skills_default", "MCP servers": "mcp_servers_default"}
    return ", ".join(f"{kind} {text_of(policy, key)}" for kind, key in kinds.items())
