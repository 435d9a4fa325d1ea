# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The outcome of a deployment, from the plan of the instance, or from the shares and the seed."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

from tests.simulator.fleet import DISEASES, Instance
from tests.simulator.knobs import OUTCOMES, Knobs


class Draw(NamedTuple):
    """`late_s`: the virtual seconds after which an uncertain result becomes known, or None for never."""

    outcome: str
    duration: float
    error_message: str | None
    late_s: float | None
    disease: str | None


def read_outcomes(value: Any) -> Any:
    """Validate a value of `outcomes` (see README.md) and return it."""
    for step in value if isinstance(value, list) else [value]:
        plan = step if isinstance(step, dict) else {"outcome": step}
        unknown = set(plan) - {"outcome", "duration_s", "error_message", "late_result_s", "disease"}
        if unknown:
            raise ValueError(f"an outcome has no key {', '.join(sorted(unknown))}")
        if plan.get("outcome", "succeeded") not in OUTCOMES:
            raise ValueError(f"{plan['outcome']!r} is not an outcome; the outcomes are {', '.join(OUTCOMES)}")
        if plan.get("disease", "none") not in DISEASES:
            raise ValueError(f"{plan['disease']!r} is not a disease; the diseases are {', '.join(DISEASES)}")
    return value


def draw(instance: Instance, attempt: int, knobs: Knobs, seed: int) -> Draw:
    """The outcome of the given attempt, counted from 1 over all deployments of the instance."""
    rng = random.Random(f"{seed}-draw-{instance.index}-{attempt}")
    duration = rng.uniform(*knobs.deploy_s)
    number = rng.random()
    plan = _planned(instance.outcomes, attempt)
    if plan is None:
        plan = {"outcome": _from_shares(knobs.outcome_shares, number)}
    outcome = plan.get("outcome", "succeeded")
    message = plan.get("error_message")
    if message is None and outcome == "failed":
        message = knobs.error_message
    if message is None and outcome.startswith("uncertain"):
        message = "the worker was lost before the agent reported"
    return Draw(
        outcome=outcome,
        duration=plan.get("duration_s", duration),
        error_message=message,
        late_s=plan.get("late_result_s", knobs.late_result_s),
        disease=plan.get("disease", instance.disease_after_deploy),
    )


def _planned(outcomes: Any, attempt: int) -> dict[str, Any] | None:
    if outcomes is None:
        return None
    if isinstance(outcomes, list):
        step = outcomes[attempt - 1] if attempt <= len(outcomes) else "succeeded"
    else:
        step = outcomes
    return step if isinstance(step, dict) else {"outcome": step}


def _from_shares(shares: dict[str, float], number: float) -> str:
    reached = 0.0
    for outcome, share in shares.items():
        reached += share
        if number < reached:
            return outcome
    return "succeeded"
