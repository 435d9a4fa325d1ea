# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Waiting until the policy and the server admit a redeploy, then sending it once (E3, E9, E23)."""

from __future__ import annotations

from collections.abc import Callable

from ansible_collections.fleetops.agents.plugins.module_utils._admission import Admission, AdmissionError
from ansible_collections.fleetops.agents.plugins.module_utils._api.client import ROLLOUTS_PAGE
from ansible_collections.fleetops.agents.plugins.module_utils._api.errors import ApiError
from ansible_collections.fleetops.agents.plugins.module_utils._api.models import (
    Record,
    in_flight,
    max_parallel_rollouts,
)
from ansible_collections.fleetops.agents.plugins.module_utils._api.redeploy import may_pass
from ansible_collections.fleetops.agents.plugins.module_utils._api.wait import wait_until
from ansible_collections.fleetops.agents.plugins.module_utils._operation import Context
from ansible_collections.fleetops.agents.plugins.module_utils._options import Spec
from ansible_collections.fleetops.agents.plugins.module_utils._redeploy import Sent
from ansible_collections.fleetops.agents.plugins.module_utils._refusal import closed_window

# How long an accepted redeploy may take to appear in the list of rollouts.
_LISTED_WITHIN = 30.0

# The options of a module that waits for admission. Times are in seconds.
ADMISSION_OPTIONS: Spec = {
    "admission": {"type": "str", "choices": ["policy", "none"], "default": "policy"},
    "admission_timeout": {"type": "int", "default": 3600},
}


class OvertakenError(Exception):
    """Somebody else acted on the instance while this task waited for admission."""


def converge_admitted(context: Context, converge: Callable[[Context, Admission], None]) -> None:
    """Run ``converge`` until nobody overtakes it, give the seat back, and say how long it took."""
    started = context.clock()
    context.result.update(instance_id=context.params["instance_id"], adopted=False)
    admission = Admission(context.params["api_url"])
    try:
        while True:
            try:
                converge(context, admission)
                break
            except OvertakenError:
                admission.leave()
    finally:
        admission.leave()
        context.result["waited_seconds"] = round(context.clock() - started, 1)


def send_admitted(context: Context, history: list[Record], admission: Admission, send: Callable[[], Sent]) -> Sent:
    """Wait for admission, then ``send()`` once. A server that is full or busy is asked again later.

    ``history`` are the instance's targets (E23) as the decision to send was made; a new one raises OvertakenError.
    """
    if context.params["admission"] == "none":
        return send()
    instance_id = context.params["instance_id"]
    known = {row.get("id") for row in history}

    def attempt() -> Sent | str:
        try:
            claimed = admission.claim(instance_id)
            if claimed and not admission.enter(lambda: _look(context)):
                return "as many redeploys as max_parallel_rollouts allows are in flight"
        except (AdmissionError, ValueError) as failure:
            context.fail(f"Instance {instance_id} was not redeployed: {failure}.")
        # The history was read before the claim: another controller may have been faster.
        if any(row.get("id") not in known for row in context.client.list_instance_rollouts(instance_id)):
            raise OvertakenError
        if not claimed:
            return "another task on this machine is redeploying it"
        try:
            return send()
        except ApiError as error:
            admission.leave()
            if may_pass(error.kind, error.status, error.detail):
                return f"the server answered: {error.detail or error}"
            if error.kind != "conflict":
                raise
            return context.fail(
                f"{str(error).rstrip('.')}. It is not about a full or busy server, so it was not asked again. Look at "
                "the instance, and run this task again.",
                error=error.as_dict(),
            )

    waited = wait_until(
        attempt,
        lambda outcome: isinstance(outcome, Sent),
        timeout=context.params["admission_timeout"],
        interval=context.params["wait_interval"],
        longest_interval=context.params["wait_interval"] * 2,
        clock=context.clock,
        sleep=context.sleep,
    )
    if isinstance(waited.state, Sent):
        return waited.state
    return context.fail(
        f"Instance {instance_id} was not redeployed: for {waited.seconds:.0f} s {waited.state}. "
        f"Look for a rollout that does not end, or raise admission_timeout. {closed_window(context)}".strip(),
        timed_out=True,
    )


def until_listed(context: Context, target: Record, admission: Admission) -> None:
    """Wait until the server's list of rollouts shows the redeploy, so that from then on the list alone counts it.

    One that stays unlisted is counted by its seat until the task ends.
    """
    rollout_id = target.get("rollout_id")
    if context.params["admission"] == "none" or not rollout_id:
        return
    waited = wait_until(
        lambda: context.client.list_fleet_rollouts(limit=ROLLOUTS_PAGE),
        lambda rows: any(row.get("id") == rollout_id for row in rows),
        timeout=_LISTED_WITHIN,
        interval=context.params["wait_interval"],
        clock=context.clock,
        sleep=context.sleep,
    )
    if waited.done:
        admission.listed()


def _look(context: Context) -> tuple[int, int]:
    """How many redeploys are in flight at the server, and how many may be."""
    policy = context.client.get_fleet_update_policy()
    return in_flight(context.client.open_fleet_rollouts()), max_parallel_rollouts(policy)
