# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the options of modules that redeploy the runtime of one instance."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  admission:
    description:
      - V(policy) starts a redeploy only when fewer redeploys than the policy's C(max_parallel_rollouts) are in flight,
        whoever started them, and waits until then. The policy is read again each time.
      - V(none) starts it immediately and relies on the server's limit.
    type: str
    choices: [policy, none]
    default: policy
  admission_timeout:
    description:
      - Seconds to wait for admission, including while the server responds that it is full or busy. Any other refusal
        ends the task immediately.
      - With O(stream), the time while the run is held does not count, nor does the time while a task with a lower
        O(stream.place) waits too.
    type: int
    default: 3600
  stream:
    description:
      - The run of which this redeploy is a part. The rules of the run, which M(fleetops.agents.rollout_gate) has stored
        on this machine, are then checked before the redeploy is sent.
      - If they end the run, nothing is sent, and the task is skipped with RV(not_admitted).
    type: dict
    version_added: 0.2.0
    suboptions:
      run:
        description: The name of the run, which is C(stream.run) of M(fleetops.agents.rollout_gate).
        type: str
        required: true
      name:
        description: The name of the instance in messages.
        type: str
        required: true
      needs:
        description: How many seconds of the maintenance window must be left for this redeploy.
        type: float
        default: 180
      place:
        description: The position of the instance in the plan, counted from 0. Of the tasks that wait, the one with the
          lowest position is admitted first. Without it, the order is not determined.
        type: int
      batches:
        description: Whether the run has batches. The end of a redeploy is then noticed sooner, because the next batch
          may be waiting for it.
        type: bool
        default: false
  wait_timeout:
    description:
      - Seconds to wait for the redeploy to finish after the server has accepted it.
      - After this time the task fails with RV(timed_out=true). The redeploy continues, and the next run adopts it.
    type: int
    default: 900
  healthy_reads:
    description:
      - How many consecutive live health checks must be healthy afterwards. After a healthy one the next follows after
        half of O(wait_interval), and otherwise after O(wait_interval).
      - V(0) skips these checks.
    type: int
    default: 3
  healthy_timeout:
    description: Seconds within which the instance must become healthy afterwards.
    type: int
    default: 300
  uncertain_grace:
    description: Seconds to wait for a late result when the server reports V(uncertain), before the evidence is checked.
    type: int
    default: 60
  expected_seconds:
    description:
      - How many seconds a redeploy of this instance usually takes, if that is known. The server is asked less often
        before that time.
    type: float
    version_added: 0.2.0
  retry_if_absent:
    description:
      - Whether to send the call again if the outcome of the first request is unknown and its effect was not found, also
        if an earlier run on this machine sent it.
    type: bool
    default: false
"""
