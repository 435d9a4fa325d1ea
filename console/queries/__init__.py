# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The console's database, read: SQL in, frames out. Nothing else in the console reads it but the store itself.

Times are epoch seconds (UTC), NaN or None when unknown. Lists are paged; a query that takes too long is stopped.
Raises DatabaseProblem, whose text is one sentence for the page.
"""

from __future__ import annotations

from console.problem import DatabaseProblem, NoDatabase
from console.queries.acting import NO_OUTCOME, OUTCOMES, console_actions
from console.queries.attention import attention, usual_seconds
from console.queries.audit import (
    AUDIT_DIMENSIONS,
    AuditCell,
    AuditSpan,
    AuditTotals,
    audit_counts,
    audit_coverage,
    audit_events,
    audit_instances,
    audit_over_time,
    audit_totals,
    span_of,
)
from console.queries.causes import (
    Cluster,
    actions_at_the_time,
    audit_at_the_time,
    bundles,
    failure_clusters,
    previous_rollout,
    runs_at_the_time,
)
from console.queries.compare import COMPARE_SORTS, KINDS, compared_page, compared_score
from console.queries.freshness import Freshness, freshness
from console.queries.instances import (
    HEALTH_OTHER,
    HEALTH_UNREAD,
    HEALTH_WORDS,
    INSTANCE_SORTS,
    USUAL_LEAST,
    InstanceFilter,
    health_checks,
    instance,
    instance_actions,
    instance_page,
    instance_tally,
    instance_targets,
    instance_usual,
    instance_versions,
    non_success_events,
)
from console.queries.jobs import jobs_of_run, relaunches_of_run
from console.queries.keeping import (
    Upkeep,
    prunable,
    source_troubles,
    sources,
    spool_positions,
    table_sizes,
    upkeep,
)
from console.queries.phases import SLOWEST_BY, slowest_targets, time_spent, usual_runs
from console.queries.policy import (
    WindowNow,
    outside_window,
    override_runs,
    policies,
    policy_changes,
    window_now,
)
from console.queries.reading import LIST_PAGE, PAGE, SYNC, stamp
from console.queries.rollouts import (
    TARGET_SORTS,
    TargetFilter,
    rollout,
    rollouts,
    rollouts_of_run,
    runs_of_rollout,
    target_page,
    targets_of,
    targets_of_run,
)
from console.queries.run_grid import TASKS_MOST, run_grid, run_tasks
from console.queries.run_moment import actions_beside_run, audit_beside_run, rollouts_beside_run
from console.queries.runs import batches, failures, in_flight, recap, results, run, runs, statuses
from console.queries.stuck import StuckRules, stuck

__all__ = [
    "AUDIT_DIMENSIONS",
    "COMPARE_SORTS",
    "HEALTH_OTHER",
    "HEALTH_UNREAD",
    "HEALTH_WORDS",
    "INSTANCE_SORTS",
    "KINDS",
    "LIST_PAGE",
    "NO_OUTCOME",
    "OUTCOMES",
    "PAGE",
    "SLOWEST_BY",
    "SYNC",
    "TARGET_SORTS",
    "TASKS_MOST",
    "USUAL_LEAST",
    "AuditCell",
    "AuditSpan",
    "AuditTotals",
    "Cluster",
    "DatabaseProblem",
    "Freshness",
    "InstanceFilter",
    "NoDatabase",
    "StuckRules",
    "TargetFilter",
    "Upkeep",
    "WindowNow",
    "actions_at_the_time",
    "actions_beside_run",
    "attention",
    "audit_at_the_time",
    "audit_beside_run",
    "audit_counts",
    "audit_coverage",
    "audit_events",
    "audit_instances",
    "audit_over_time",
    "audit_totals",
    "batches",
    "bundles",
    "compared_page",
    "compared_score",
    "console_actions",
    "failure_clusters",
    "failures",
    "freshness",
    "health_checks",
    "in_flight",
    "instance",
    "instance_actions",
    "instance_page",
    "instance_tally",
    "instance_targets",
    "instance_usual",
    "instance_versions",
    "jobs_of_run",
    "non_success_events",
    "outside_window",
    "override_runs",
    "policies",
    "policy_changes",
    "previous_rollout",
    "prunable",
    "recap",
    "relaunches_of_run",
    "results",
    "rollout",
    "rollouts",
    "rollouts_beside_run",
    "rollouts_of_run",
    "run",
    "run_grid",
    "run_tasks",
    "runs",
    "runs_at_the_time",
    "runs_of_rollout",
    "slowest_targets",
    "source_troubles",
    "sources",
    "span_of",
    "spool_positions",
    "stamp",
    "statuses",
    "stuck",
    "table_sizes",
    "target_page",
    "targets_of",
    "targets_of_run",
    "time_spent",
    "upkeep",
    "usual_runs",
    "usual_seconds",
    "window_now",
]
