# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is known about one operation, as plain data: the input of all functions in this folder. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

RUN, ROLLOUT, ACT = "run", "rollout", "act"
KINDS = (RUN, ROLLOUT, ACT)


@dataclass(frozen=True)
class Result:
    """One result of a task on an instance, from the run log. Times are epoch seconds.

    action: the module's name without its collection. There are results of our own modules, and failures of any module,
    except for the tasks that run once for the complete run (plan, gate, report). status: ok, failed, ignored (an error
    that does not count), skipped, or retry (an attempt that changed something, before another one). values: all that is
    stored of a failure, else only ``adopted``. version: the version of the runtime afterwards, None if unknown.
    was_sent: the result contains an id from the server. A redeploy without one is only predicted. predicted: it is a
    change that a task in check mode predicted, although the run is not a check run. changed is then False.
    """

    host: str
    action: str
    status: str
    changed: bool
    at: float | None
    values: Mapping[str, Any] = field(default_factory=dict)
    message: str = ""
    started_at: float | None = None
    was_sent: bool = True
    version: str | None = None
    predicted: bool = False


@dataclass(frozen=True)
class Flight:
    """The last task that a host started, if it has not finished."""

    task: str
    action: str
    at: float | None


class Target(NamedTuple):
    """One target of a rollout on the server. host: the instance's name in the operation. status: the canonical word."""

    host: str
    status: str
    target_id: str = ""
    instance_id: str = ""
    created_at: float | None = None
    started_at: float | None = None
    completed_at: float | None = None
    message: str = ""
    rollout_id: str = ""


@dataclass(frozen=True)
class Batch:
    """One batch of a run. touched: one of our tasks has a result in it, so the gate before it let it start."""

    number: int
    hosts: tuple[str, ...]
    started_at: float | None
    touched: bool


@dataclass(frozen=True)
class Facts:
    """One operation.

    kind: run (a playbook run), rollout (started by somebody else) or act (an action in the console). name: the playbook
    without folder and extension, ``rollout``, or the action. status: as stored. hosts: the instances of the operation.
    targets: those of the rollouts that the operation started or, for a rollout, its own. rollout: the row of the table
    ``rollouts`` with its counters (total, succeeded, failed, ...), if no targets were read.

    Only for a run: check: it was a check run, None if unknown. report: ``stats_json.fleetops_report``, empty if none.
    report_cut: the lists of the report that were shortened because it was too long; its numbers are always complete.
    plan: the newest plan in the run log, empty if none. planned: the hosts to be changed, None if unknown. gone: the
    hosts that the server no longer knows. left_out: those that a rule of the plan left out. batches: those that began.
    batches_planned: how many batches the plan has, None if unknown. results: see Result, in order. in_flight: by host.
    adopted: the run followed a rollout that somebody else started. despite_check: it was not a check run, although it
    was started with --check. pruned: the results were deleted, so hosts has only those that the server reports.
    first_failure: the first failed result, as a sentence; without one, why the job of the run was ended.

    Only for an action: detail: the answer of the server.
    """

    kind: str
    name: str
    status: str
    check: bool | None = None
    report: Mapping[str, Any] = field(default_factory=dict)
    report_cut: frozenset[str] = frozenset()
    plan: Mapping[str, Any] = field(default_factory=dict)
    hosts: Sequence[str] = ()
    planned: Sequence[str] | None = None
    gone: Sequence[str] = ()
    left_out: Sequence[str] = ()
    batches: Sequence[Batch] = ()
    batches_planned: int | None = None
    results: Sequence[Result] = ()
    in_flight: Mapping[str, Flight] = field(default_factory=dict)
    targets: Sequence[Target] = ()
    rollout: Mapping[str, Any] = field(default_factory=dict)
    adopted: bool = False
    despite_check: bool = False
    pruned: bool = False
    first_failure: str = ""
    detail: str = ""

    @property
    def runs(self) -> bool:
        """Whether it is still running."""
        return self.status in ("running", "pending", "in_progress", "cancelling") and self.kind != ACT
