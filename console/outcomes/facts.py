# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is known of one operation, as plain data: the input of every judgement in this folder. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

RUN, ROLLOUT, ACT = "run", "rollout", "act"
KINDS = (RUN, ROLLOUT, ACT)


@dataclass(frozen=True)
class Result:
    """One result of a task on an instance, as the run log has it. Times are epoch seconds.

    action: the module's name without its collection. A failure is here whatever its module, except those of the tasks
    that run once for the whole run (plan, gate, report), which are no instance's. status: ok, failed, ignored (also
    rescued), unreachable or skipped. values: all that is stored of a failure, else what matters here (``adopted``).
    was_sent: the result names what was sent to the server; a prediction that something would be changed does not.
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


@dataclass(frozen=True)
class Flight:
    """What a host was last seen starting and has not finished."""

    task: str
    action: str
    at: float | None


class Target(NamedTuple):
    """One target of a rollout at the server. host: as the operation names the instance. status: the canonical word."""

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
    """One batch of a run. touched: a task of ours came to a result in it, so the gate before it let it start."""

    number: int
    hosts: tuple[str, ...]
    started_at: float | None
    touched: bool


@dataclass(frozen=True)
class Facts:
    """One operation.

    kind: run (a playbook run), rollout (started by somebody else) or act (of the console). name: the playbook without
    folder and suffix, ``rollout``, or the act. status: of the run, the rollout or the act, as stored. check: the run
    was a prediction; None where nobody knows.

    report: of the run (``stats_json.fleetops_report``), empty without one; report_cut: its lists that are not whole,
    because the report was too long to be kept; the numbers in it are whole always. hosts: who was meant. planned: who
    was to be changed, None where that is not known; gone: who the server did not know any more. batches: those that
    began; batches_planned: how many the plan had, None where that is not known. results: of our own modules on
    instances, in their order. in_flight: by host. targets: at the server, of the rollouts that the operation started
    (of a rollout: its own). rollout: its record, with the counters of the table ``rollouts`` (total, succeeded, failed,
    ...), where no targets are read. adopted: the run followed a rollout that somebody else started. pruned: the
    results are no longer kept, so that hosts has only those that the server tells of. first_failure: the first failed
    result of the run, as a sentence. detail: what the server said, of an act.
    """

    kind: str
    name: str
    status: str
    check: bool | None = None
    report: Mapping[str, Any] = field(default_factory=dict)
    report_cut: frozenset[str] = frozenset()
    hosts: Sequence[str] = ()
    planned: Sequence[str] | None = None
    gone: Sequence[str] = ()
    batches: Sequence[Batch] = ()
    batches_planned: int | None = None
    results: Sequence[Result] = ()
    in_flight: Mapping[str, Flight] = field(default_factory=dict)
    targets: Sequence[Target] = ()
    rollout: Mapping[str, Any] = field(default_factory=dict)
    adopted: bool = False
    pruned: bool = False
    first_failure: str = ""
    detail: str = ""

    @property
    def runs(self) -> bool:
        """Whether it still runs."""
        return self.status in ("running", "pending", "in_progress", "cancelling") and self.kind != ACT
