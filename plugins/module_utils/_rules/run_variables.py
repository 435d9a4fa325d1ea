# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Whether a run can be made with its variables and its hosts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .change import change_problem
from .pace import PACES, refusal_of_run
from .plain_values import SettingsError, number

_WORDS = {
    "fleetops_plan_for": ("redeploy", "updates", "restart", "repair"),
    "fleetops_state": ("latest", "redeployed"),
    "fleetops_pace": PACES,
}
_RUNGS = ("breakers", "power_cycle", "reboot")


def problem_of_variables(asked: Mapping[str, Any], *, check_mode: bool) -> str:
    """Why a run cannot be made with its variables (names to values), as a sentence; empty if it can.

    A variable that is missing is not checked.
    """
    for name, words in _WORDS.items():
        if asked.get(name, words[0]) not in words:
            return f"{name} is {asked[name]}: it must be {_either(words)}."
    rungs = asked.get("fleetops_recover_rungs", _RUNGS)
    if not set(rungs) <= set(_RUNGS):
        return f"fleetops_recover_rungs is {', '.join(rungs)}: each must be {_either(_RUNGS)}."
    # Without a value, the limit of the policy applies.
    if asked.get("fleetops_batch_max") is not None:
        try:
            number("fleetops_batch_max", asked["fleetops_batch_max"], least=1, whole=True)
        except SettingsError as bad:
            return f"{bad}."
    problem = refusal_of_run(asked) or change_problem(
        asked.get("fleetops_change", ""), asked.get("fleetops_change_pattern", "")
    )
    if problem:
        return problem
    if asked.get("fleetops_plan_required") and not check_mode and not str(asked["fleetops_plan_hash"]).strip():
        return (
            "This run needs an approved plan (fleetops_plan_required), and fleetops_plan_hash is empty. Nothing was "
            "done. Run it with --check, have the plan approved, and give its hash as fleetops_plan_hash."
        )
    return ""


def problem_of_hosts(without_id: Iterable[str]) -> str:
    """Why a run cannot be made with its hosts, as a sentence; empty if there are none ``without_id``."""
    names = ", ".join(without_id)
    if not names:
        return ""
    return (
        f"These hosts have no fleetops_instance_id: {names}. The inventory plugin fleetops.agents.fleet sets it. "
        "Exclude these hosts with fleetops_hosts or --limit. Nothing was done."
    )


def _either(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"
