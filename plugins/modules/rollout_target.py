#!/usr/bin/python
# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Retries failed and uncertain targets of a rollout (E8; E4, E16, E23, E25)."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: rollout_target
short_description: Retry failed or uncertain targets of a rollout
version_added: 0.2.0
description:
  - Queues targets of a rollout again, each once, and waits until they have finished.
  - A target that the server reports as V(uncertain) is retried only if the evidence shows that the redeploy was not
    applied.
  - Requires the API key of a tenant admin.
author:
  - The fleetops.agents contributors (@fleetops)
extends_documentation_fragment:
  - fleetops.agents.attributes
  - fleetops.agents.connection
  - fleetops.agents.wait
attributes:
  check_mode:
    support: full
    details: Also checks the evidence for uncertain targets and waits for their late results.
  diff_mode:
    support: full
    details: Shows the status of the targets that are retried.
  idempotent:
    support: full
    details: Only failed and uncertain targets are retried; once they have succeeded, nothing is sent.
options:
  state:
    description: V(retried) is the only state.
    type: str
    choices: [retried]
    default: retried
  rollout_id:
    description: The rollout.
    type: raw
    required: true
  target_id:
    description: Retry the target with this id.
    type: raw
  instance_id:
    description: Retry the target of this instance.
    type: raw
  select:
    description:
      - Retry all targets that are V(failed), V(uncertain), or either (V(all)).
      - Targets that the server counts but does not list cannot be retried, so they count against O(max_failed).
    type: str
    choices: [failed, uncertain, all]
  retry_unknown:
    description:
      - Whether to also retry V(uncertain) targets for which the evidence does not show whether the redeploy was
        applied.
      - Such a target may be deployed a second time.
    type: bool
    default: false
  uncertain_grace:
    description:
      - Seconds to wait for the late result of an V(uncertain) target before the evidence is checked, counted from the
        time when the server lost track of it.
    type: int
    default: 60
  max_failed:
    description:
      - How many targets may fail without failing the task.
      - An V(uncertain) target counts as failed unless the evidence shows that it succeeded.
    type: int
    default: 0
  max_failed_of:
    description:
      - Which targets are counted against O(max_failed), those that were V(retried), or all of the V(rollout).
      - With V(rollout), the task also fails if nothing could be retried, and if the rollout was cancelled.
      - Without effect in check mode, and if O(wait) is V(false).
    type: str
    choices: [retried, rollout]
    default: retried
  wait_timeout:
    description:
      - Seconds to wait until the retried targets have finished.
      - After this time the task fails with RV(timed_out=true). The targets are left as they are.
    type: int
    default: 900
seealso:
  - module: fleetops.agents.rollout
  - module: fleetops.agents.rollout_info
"""

EXAMPLES = r"""
---
- name: Retry the failed targets of a rollout
  fleetops.agents.rollout_target:
    rollout_id: 497f6eca-6276-4993-bfeb-53cbbbba6f08
    select: failed

- name: Retry the target of one instance
  fleetops.agents.rollout_target:
    rollout_id: 497f6eca-6276-4993-bfeb-53cbbbba6f08
    instance_id: "{{ fleetops_instance_id }}"

- name: Retry all targets that did not succeed, including uncertain ones of unknown effect
  fleetops.agents.rollout_target:
    rollout_id: 497f6eca-6276-4993-bfeb-53cbbbba6f08
    select: all
    retry_unknown: true
    max_failed: 1
"""

RETURN = r"""
---
rollout_id:
  description: The rollout.
  returned: always
  type: str
  sample: 497f6eca-6276-4993-bfeb-53cbbbba6f08
rollout:
  description: The last known state of the rollout, as returned by the server.
  returned: when it was read
  type: dict
  sample: {id: 497f6eca-6276-4993-bfeb-53cbbbba6f08, status: completed, total_targets: 24, failed_targets: 0}
text:
  description: How many targets of RV(rollout) have each status, for people.
  returned: when it was read
  type: str
  sample: "24 targets: 22 succeeded, 2 failed"
retried:
  description:
    - The targets that were retried, or in check mode would be.
    - C(was) is the status before the retry, C(error_message) the server's reason for it.
  returned: always
  type: list
  elements: dict
  sample:
    - target_id: 1f0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10
      instance_id: 4f0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10
      was: failed
      error_message: bundle checksum mismatch on the agent
skipped_targets:
  description: The selected targets that were not retried, each with the C(reason).
  returned: always
  type: list
  elements: dict
  sample:
    - target_id: 1f0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10
      instance_id: 4f0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10
      reason: it has succeeded
targets:
  description: The last known state of the retried targets, as returned by the server.
  returned: always
  type: list
  elements: dict
  sample: [{instance_id: 4f0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10, status: succeeded, error_message: null}]
reconciled:
  description:
    - The actual result of each target that the server reports as V(uncertain), determined from the last start time, the
      reported version and the history.
    - C(verdict) is one of V(succeeded), V(superseded), V(not_applied), V(still_unknown).
    - C(evidence) is the evidence for it.
  returned: when there were such targets
  type: list
  elements: dict
  sample:
    - target_id: 1f0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10
      instance_id: 4f0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10
      verdict: not_applied
      evidence: "restarted since: no, version is current: no"
too_many:
  description: Whether more targets of the rollout than O(max_failed) did not succeed.
  returned: when the task failed because of all targets of the rollout (O(max_failed_of))
  type: bool
  sample: true
ended_badly:
  description: Whether RV(too_many) is true of a rollout that was not cancelled.
  returned: when true
  type: bool
  sample: true
timed_out:
  description: Whether the wait timed out before all retried targets had finished.
  returned: when true
  type: bool
  sample: true
ambiguous:
  description: Whether it is unknown if the server executed a call.
  returned: when true
  type: bool
  sample: true
waited_seconds:
  description: Duration of the task in seconds.
  returned: always
  type: float
  sample: 42.0
refused:
  description: The server's reason, if its response had a success status but refused the request.
  returned: when the server refused the request
  type: str
  sample: "rejected: quota exceeded"
"""

from ..module_utils._client.errors import ApiError
from ..module_utils._module.operation import Context, Operation, run_as_module
from ..module_utils._module.options import id_option
from ..module_utils._rules.answers import Record, target_is_terminal, target_status
from ..module_utils._rules.ids import id_key
from ..module_utils._rules.record_words import is_status, named, text_of
from ..module_utils._rules.rollout import (
    ends,
    ends_text,
    instance_in_words,
    selected,
    unlisted_among,
    was_reopened,
    why_not_retried,
)
from ..module_utils._steps.claimed import claimed
from ..module_utils._steps.look_up import looking_up
from ..module_utils._steps.refusal import closed_window, fail_if_refused
from ..module_utils._steps.rollout_follow import (
    SHOWS_WITHIN,
    fail_if_too_many,
    names_of,
    read_until,
    read_until_shown,
    remember_rollout,
    settle_uncertain,
    warn_if_cut,
)
from ..module_utils._steps.rollout_steer import send_until_it_shows


def run(context: Context) -> None:
    started = context.clock()
    if context.params["max_failed"] < 0:
        context.fail(f"max_failed is {context.params['max_failed']}: it must be 0 or more.")
    context.result.update(rollout_id=context.params["rollout_id"], retried=[], skipped_targets=[], targets=[])
    try:
        _retry(context)
    finally:
        context.result["waited_seconds"] = round(context.clock() - started, 1)


def _retry(context: Context) -> None:
    rollout_id = context.params["rollout_id"]
    with claimed(context, f"rollout {id_key(rollout_id)}", f"acting on rollout {rollout_id}"):
        chosen, unlisted = _chosen(context)
        if chosen:
            _retry_chosen(context, chosen)
    follows = context.params["wait"] and not context.check_mode
    if follows and context.changed:
        _follow_to_end(context)
    if follows and context.params["max_failed_of"] == "rollout":
        fail_if_too_many(context, *settle_uncertain(context, context.client.get_rollout(rollout_id)))
    elif unlisted > context.params["max_failed"]:
        what = "failed or uncertain" if context.params["select"] == "all" else context.params["select"]
        context.fail(
            f"Rollout {rollout_id} counts more {what} targets than the server lists: {unlisted} could not be retried, "
            "as a retry names its target by its id. Run this task again."
        )


def _retry_chosen(context: Context, chosen: list[Record]) -> None:
    context.result["targets"] = chosen
    # In the diff, targets are named by their row id, which a retry does not change.
    before = {str(row["id"]): target_status(row.get("status")) for row in chosen}
    context.write(lambda: _retry_each(context, chosen), before=before, after=dict.fromkeys(before, "queued"))
    if context.check_mode:
        context.result["retried"] = [_as_result(row) for row in chosen]
        return
    context.changed = bool(context.result["retried"])


def _chosen(context: Context) -> tuple[list[Record], int]:
    """The targets to retry, and how many selected ones the server counts but does not list.

    The other selected targets are returned as ``skipped_targets`` with the reason.
    """
    params = context.params
    wanted = {key: params[key] for key in ("target_id", "instance_id", "select")}
    detail = context.client.get_rollout(params["rollout_id"])
    remember_rollout(context, detail)
    warn_if_cut(context, detail)
    meant = selected(detail["targets"], **wanted)
    unlisted = unlisted_among(detail["rollout"], detail["targets"], params["select"]) if params["select"] else 0
    if not meant and not params["select"]:
        what = f"target {params['target_id']}" if params["target_id"] else f"target of {context.instance}"
        context.fail(f"Rollout {params['rollout_id']} has no {what}.")
    nameless = [row for row in meant if not row.get("id")]
    if nameless:
        context.fail(
            f"Nothing was sent: rollout {params['rollout_id']} has a target without an id "
            f"({named('instance', nameless[0], 'instance_id')}), and a retry names its target by that id."
        )
    ids = [str(row["id"]) for row in meant]
    detail, verdicts = settle_uncertain(context, detail, among=ids)
    remember_rollout(context, detail)
    chosen = []
    for row in detail["targets"]:
        if str(row.get("id")) not in ids:
            continue
        reason = why_not_retried(row, verdicts.get(str(row["id"])), params["retry_unknown"])
        if reason is None:
            chosen.append(row)
        else:
            _skip(context, row, reason)
    return chosen, unlisted


def _skip(context: Context, row: Record, reason: str) -> None:
    context.result["skipped_targets"].append(
        {"target_id": row.get("id"), "instance_id": row.get("instance_id"), "reason": reason}
    )


def _as_result(row: Record) -> Record:
    return {
        "target_id": row.get("id"),
        "instance_id": row.get("instance_id"),
        "was": target_status(row.get("status")),
        "error_message": row.get("error_message"),
    }


def _retry_each(context: Context, chosen: list[Record]) -> None:
    for row in chosen:
        _retry_one(context, row)


def _retry_one(context: Context, row: Record) -> None:
    """Retry one target, and wait until E4 shows it as queued again. If somebody else has changed it, it is skipped."""
    rollout_id, name = context.params["rollout_id"], f"{named('target', row)} ({named('instance', row, 'instance_id')})"

    def shows(detail: Record) -> bool:
        remember_rollout(context, detail)
        return any(was_reopened(row, seen) for seen in detail["targets"] if seen.get("id") == row.get("id"))

    try:
        send_until_it_shows(
            context,
            rollout_id,
            f"The retry of {name}",
            lambda: context.client.retry_rollout_target(rollout_id, str(row["id"])),
            shows,
        )
    except ApiError as error:
        fail_if_refused(context, error)
        if error.kind != "conflict":
            raise
        now = _look(context, row)
        reason = why_not_retried(now, "not_applied")
        if reason is None and not was_reopened(row, now):
            raise
        _skip(context, now, reason or "somebody else retried it meanwhile")
        return
    context.changed = True
    context.result["retried"].append(_as_result(row))
    with looking_up(context):
        reopened = read_until_shown(context, rollout_id, shows).done
    if not reopened:
        context.fail(
            f"The server accepted the retry of {name}, but within {SHOWS_WITHIN:.0f} s its status is "
            f"{text_of(row, 'status')}. Read it with rollout_info."
        )


def _look(context: Context, row: Record) -> Record:
    """The target as E4 shows it now."""
    rows = context.client.get_rollout(context.params["rollout_id"])["targets"]
    return next((seen for seen in rows if seen.get("id") == row.get("id")), row)


def _follow_to_end(context: Context) -> None:
    """Wait until the retried targets have ended, and fail if too many of them did not succeed."""
    rollout_id = context.params["rollout_id"]
    ids = {row["target_id"] for row in context.result["retried"]}

    def at_rest(detail: Record) -> bool:
        targets = [row for row in detail["targets"] if row.get("id") in ids]
        context.result["targets"] = targets
        remember_rollout(context, detail)
        return {row["id"] for row in targets} == ids and all(target_is_terminal(row) for row in targets)

    waited = read_until(context, rollout_id, at_rest, timeout=context.params["wait_timeout"])
    if not waited.done:
        left = [row for row in context.result["targets"] if not target_is_terminal(row)]
        gone = len(ids - {row["id"] for row in context.result["targets"]})
        queued = any(target_status(row.get("status")) == "queued" for row in left)
        told = [f"{instance_in_words(row, names_of(context, rollout_id))} {is_status(row)}" for row in left[:1]]
        told += [f"the server no longer lists {gone} of them"] if gone else []
        context.fail(
            f"{len(left) + gone} of {len(ids)} retried targets of rollout {rollout_id} did not end within "
            f"{context.params['wait_timeout']} s ({'; '.join(told)}). "
            f"They were left running. {closed_window(context) if queued else ''}".strip(),
            timed_out=True,
        )
    if context.params["max_failed_of"] == "rollout":
        return
    detail, verdicts = settle_uncertain(context, waited.state, among=ids)
    at_rest(detail)
    found = ends(context.result["targets"], {one for one, verdict in verdicts.items() if verdict == "succeeded"})
    bad = len(found.bad) + len(found.cancelled)
    if bad > context.params["max_failed"]:
        context.fail(f"Retried in rollout {rollout_id}: {ends_text(found, names_of(context, rollout_id))}.")


OPERATION = Operation(
    run=run,
    options={
        "state": {"type": "str", "choices": ["retried"], "default": "retried"},
        "rollout_id": id_option(required=True),
        "target_id": id_option(),
        "instance_id": id_option(),
        "select": {"type": "str", "choices": ["failed", "uncertain", "all"]},
        "retry_unknown": {"type": "bool", "default": False},
        "uncertain_grace": {"type": "int", "default": 60},
        "max_failed": {"type": "int", "default": 0},
        "max_failed_of": {"type": "str", "choices": ["retried", "rollout"], "default": "retried"},
    },
    wait_timeout=900,
    rules={
        "mutually_exclusive": [("target_id", "instance_id", "select")],
        "required_one_of": [("target_id", "instance_id", "select")],
    },
)


def main() -> None:
    run_as_module(OPERATION)


if __name__ == "__main__":
    main()
