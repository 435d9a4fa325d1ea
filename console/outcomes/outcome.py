# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The outcome of each instance of an operation. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.fleetops.agents.plugins.module_utils._rules import report as run_report
from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import Record, count, records_in
from ansible_collections.fleetops.agents.plugins.module_utils._rules.ids import id_key
from console.outcomes.facts import ACT, ROLLOUT, Facts, Flight, Result, Target
from console.outcomes.words import (
    CATEGORIES,
    CURRENT,
    FAILED,
    GONE,
    NOT_TOUCHED,
    PROBLEMS,
    RUNNING,
    UNCERTAIN,
    UPDATED,
    WAITING,
)
from console.text.json_values import listed, mapping

WORK = frozenset(
    {
        "instance_runtime",
        "instance_update",
        "instance_power_cycle",
        "instance_reboot",
        "instance_circuit_breakers",
        "instance_memory",
        "instance_memory_backup",
        "instance_update_policy",
        "instance_diagnostics",
        "update_policy",
    }
)
"""Our modules that act on an instance or on its stored data; ``update_policy`` acts on the tenant."""

READS = frozenset(
    {
        "instance_action_info",
        "instance_audit_info",
        "instance_health_info",
        "instance_memory_backup",
        "instance_memory_info",
        "instance_rollout_info",
        "instance_update_info",
    }
)
"""Our modules that only read an instance. A backup that changes no file has only read it: it was identical, or was
compared."""

OURS = WORK | READS
_REDEPLOYS = frozenset({"instance_runtime", "instance_update"})
# What repairs an instance at which another action failed, unless that was a redeploy.
_REPAIRS = _REDEPLOYS | {"instance_circuit_breakers", "instance_power_cycle", "instance_reboot"}

# Playbooks in which the outcome of an instance is known only at the end of its batch: an action that changed something
# may not have made it healthy.
_JUDGED_LATER = frozenset({"recover"})
_TARGETS = {"succeeded": UPDATED, "failed": FAILED, "cancelled": NOT_TOUCHED, "queued": WAITING, "in_progress": RUNNING}
# The statuses of rollouts that have ended on the server.
_ENDED = frozenset({"completed", "partial", "failed", "cancelled"})
_COUNTERS = ("queued", "in_progress", "succeeded", "failed", "uncertain")
_ACTS = {"done": UPDATED, "refused": NOT_TOUCHED, "failed": FAILED}
_RECONCILED = {"succeeded": UPDATED, "not_applied": FAILED}
# No fleet has this many instances, and the sum of ten such numbers still fits into 64 bits.
_TOO_MANY = 2**53


class Outcome(NamedTuple):
    """The outcome of one instance.

    category: one of words.CATEGORIES. message: the reason, '' if there is nothing to explain. since: when the instance
    got this outcome (epoch seconds), None if unknown. derived: the category does not come from the run's report.
    """

    category: str
    message: str = ""
    since: float | None = None
    derived: bool = False


def outcomes(facts: Facts) -> dict[str, Outcome]:
    """The outcome of each instance of the operation, by host name, exactly one each.

    It comes from the run's report if there is one, otherwise from the plan, the results of our own modules, the tasks
    in progress and the targets on the server. The outcomes of a rollout come from its targets. Ansible's status of a
    host is never used by itself.
    """
    if facts.kind == ACT:
        category = _ACTS.get(facts.status, UNCERTAIN)
        return {host: Outcome(category, facts.detail) for host in facts.hosts}
    if of_rollout(facts):
        return {} if facts.adopted else _of_targets(facts)
    derived = _derived(facts)
    return _reported(facts, derived) if has_report(facts) else derived


def counts(facts: Facts, judged: Mapping[str, Outcome] | None = None) -> dict[str, int]:
    """How many instances are in each of words.CATEGORIES: by the numbers of a report or the counters of a rollout if
    they suffice, otherwise by ``judged``, the result of ``outcomes``, which is called if it is not given."""
    if has_report(facts) and facts.kind != ACT:
        reported = facts.report["counts"]
        return {category: _count(reported.get(category)) for category in CATEGORIES}
    if of_rollout(facts) and not facts.targets and not facts.adopted:
        return _of_counters(facts)
    found = Counter(outcome.category for outcome in (outcomes(facts) if judged is None else judged).values())
    return {category: found[category] for category in CATEGORIES}


def has_report(facts: Facts) -> bool:
    """Whether the run's report has the outcome of each instance. That of a fleet rollout has only the rollout."""
    return isinstance(facts.report.get("counts"), Mapping)


def of_rollout(facts: Facts) -> bool:
    """Whether the server did the work: a rollout, or a run that only started or followed one."""
    return facts.kind == ROLLOUT or facts.name == "fleet_rollout" or "rollout_id" in facts.report


def _reported(facts: Facts, derived: Mapping[str, Outcome]) -> dict[str, Outcome]:
    report = facts.report
    why, disagreements = mapping(report.get("why")), mapping(report.get("disagreements"))
    found: dict[str, Outcome] = {}
    for category in run_report.CATEGORIES:
        for name in map(str, listed(report.get(category))):
            known = derived.get(name)
            message = str(why.get(name) or disagreements.get(name) or "")
            if not message and known is not None and known.category == category and category in PROBLEMS:
                message = known.message
            found[name] = Outcome(category, message, known.since if known else None)
    for host, outcome in derived.items():
        if host in found or not facts.report_cut:
            continue
        # A report of thousands of instances is stored with all numbers, but not with all names. A missing name was in a
        # list that was cut; if several lists were, the derived outcome decides which.
        if len(facts.report_cut) == 1:
            found[host] = Outcome(next(iter(facts.report_cut)), outcome.message, outcome.since)
        elif outcome.category in facts.report_cut:
            found[host] = outcome
        else:
            cut = NOT_TOUCHED if NOT_TOUCHED in facts.report_cut else min(facts.report_cut)
            found[host] = outcome._replace(category=cut)
    return found


def _derived(facts: Facts) -> dict[str, Outcome]:
    by_host: dict[str, list[Result]] = {}
    for result in facts.results:
        by_host.setdefault(result.host, []).append(result)
    targets = newest_targets(facts.targets)
    begun = {*(result.action for result in facts.results), *(flight.action for flight in facts.in_flight.values())}
    works = bool(begun & (WORK - READS))
    planned = None if facts.planned is None else set(facts.planned)
    left_out, gone = set(facts.left_out), set(facts.gone)
    unjudged: set[str] = set()
    if facts.name in _JUDGED_LATER and facts.batches and facts.status not in ("successful", "failed"):
        acted = {r.host for r in facts.results if r.action in WORK and r.status in ("ok", "failed")}
        unjudged = acted.intersection(facts.batches[-1].hosts)
    found: dict[str, Outcome] = {}
    for host in dict.fromkeys([*facts.hosts, *by_host, *targets]):
        outcome = _of_results(by_host.get(host, ()), works)
        flight = facts.in_flight.get(host)
        if flight is not None and flight.action in OURS and facts.runs:
            outcome = Outcome(RUNNING, flight.task, flight.at, True)
        elif outcome is not None and outcome.category != FAILED and host in unjudged:
            outcome = (
                outcome._replace(category=RUNNING)
                if facts.runs
                else outcome._replace(category=UNCERTAIN, message="The run ended before the health was checked.")
            )
        elif outcome is None or outcome.category != FAILED:
            cut = flight if flight is not None and flight.action in WORK and not facts.runs else None
            outcome = _unfinished(cut, targets.get(host), outcome)
        if outcome is None and planned is not None and host not in planned:
            category = GONE if host in gone else NOT_TOUCHED if host in left_out else CURRENT
            outcome = Outcome(category, derived=True)
        ignored = next((f"Ignored: {r.message}" for r in by_host.get(host, ()) if r.status == "ignored"), "")
        found[host] = outcome or Outcome(WAITING if facts.runs else NOT_TOUCHED, ignored, derived=True)
    return found


def _of_results(results: Sequence[Result], works: bool) -> Outcome | None:
    """The outcome by the results of one host, None if they do not show it. works: the operation does more than read.

    What failed, or has an unknown effect, counts until the same module succeeds or, unless it was a redeploy, until a
    redeploy or restart succeeds. That the version is the published one shows no success if it was the same before a
    redeploy that failed.
    """
    problems: dict[str, Outcome] = {}
    versions: dict[str, Any] = {}
    done: Outcome | None = None
    changed = was_read = left_out = predicted = False
    for result in results:
        action = result.action
        if result.status == "ignored":
            continue
        if result.status == "skipped":
            left_out = left_out or action in WORK
            continue
        if result.status == "retry":
            changed = changed or (action in WORK and result.changed)
            continue
        is_failed = result.status == "failed"
        if result.predicted and not is_failed:
            predicted = predicted or action in WORK
            continue
        was_sent = result.was_sent or action not in _REDEPLOYS
        is_unknown = action in problems and problems[action].category == UNCERTAIN
        category = run_report.category_of({**result.values, "failed": is_failed, "changed": result.changed})
        if is_failed:
            if is_unknown and not was_sent:
                # It does not tell the effect of what was sent before.
                continue
            problems.pop(action, None)
            problems[action] = Outcome(category, result.message, result.at, True)
            versions[action] = None if result.values.get("redeployed") else result.values.get("version_before")
            changed = changed or (action in WORK and result.changed)
        elif action in WORK and (result.changed or action not in READS):
            predicts = result.changed and not was_sent
            follows = bool(result.values.get("adopted")) and not result.changed
            is_same = category == CURRENT and result.version is not None and result.version == versions.get(action)
            if (predicts and problems) or (follows and is_unknown) or (is_same and action in problems):
                # A task found that the change is still to be made, is still being made, or cannot be seen.
                continue
            problems.pop(action, None)
            if action in _REPAIRS:
                problems = {other: problem for other, problem in problems.items() if other in _REDEPLOYS}
            changed = changed or category == UPDATED
            done = Outcome(UPDATED if changed else category, "", result.at, True)
        elif action in READS:
            was_read = True
            problems.pop(action, None)
            if done is None and not works:
                done = Outcome(UPDATED, "", result.at, True)
    if problems:
        # Another module, such as "fail", fails because of what failed before.
        of_work = [problem for action, problem in problems.items() if action in WORK] or [*problems.values()]
        return next((problem for problem in reversed(of_work) if problem.category == UNCERTAIN), of_work[-1])
    if done is None and predicted:
        return Outcome(NOT_TOUCHED, "Only predicted: its task ran in check mode.", derived=True)
    if done is None and works and was_read and left_out:
        return Outcome(CURRENT, derived=True)
    return done


def _unfinished(cut: Flight | None, target: Target | None, known: Outcome | None) -> Outcome | None:
    """The outcome of a host that has not failed. cut: the task that it had not finished when the run ended, if it may
    have changed something. The host's target on the server is from a redeploy."""
    if known is not None and known.category != UNCERTAIN:
        if cut is None:
            return known
        known, target = None, target if cut.action in _REDEPLOYS else None
    on_server = _of_target(target) if target is not None else None
    if on_server is not None and (known is None or on_server.category != UNCERTAIN):
        return on_server
    if known is None and cut is not None:
        return Outcome(UNCERTAIN, f"The run ended during {cut.task!r}. Check the instance.", cut.at, True)
    return known


def spans(results: Sequence[Result]) -> dict[str, tuple[float | None, float | None]]:
    """From when to when our modules worked on each host."""
    found: dict[str, tuple[float | None, float | None]] = {}
    for result in results:
        if result.status == "skipped" or result.action not in OURS:
            continue
        first, _last = found.get(result.host, (None, None))
        found[result.host] = (first if first is not None else result.started_at, result.at)
    return found


def newest_targets(targets: Sequence[Target]) -> dict[str, Target]:
    found: dict[str, Target] = {}
    for target in targets:
        known = found.get(target.host)
        if known is None or (target.created_at or 0.0) >= (known.created_at or 0.0):
            found[target.host] = target
    return found


def category_of_target(status: str, rollout: str) -> tuple[str, str]:
    """The category of a target by its status, and the reason, '' if the server's message has it. rollout: the status of
    its rollout if that rollout is the operation, else ''."""
    category = _TARGETS.get(status, UNCERTAIN)
    if rollout == "lost" and category in (RUNNING, WAITING):
        return UNCERTAIN, "It had not ended when its rollout was last read."
    if rollout in _ENDED and category == RUNNING:
        return UNCERTAIN, "The rollout has ended, but this target has not."
    return NOT_TOUCHED if rollout in _ENDED and category == WAITING else category, ""


def _of_target(target: Target, rollout: str = "") -> Outcome:
    category, why = category_of_target(target.status, rollout)
    since = target.completed_at or target.started_at or target.created_at
    return Outcome(category, why or target.message, None if category == NOT_TOUCHED else since, True)


def _of_targets(facts: Facts) -> dict[str, Outcome]:
    rollout = facts.status if facts.kind == ROLLOUT else ""
    verdicts = {id_key(row.get("target_id")): row for row in _reconciled(facts)}
    found = {}
    for host, target in newest_targets(facts.targets).items():
        outcome = _of_target(target, rollout)
        known = verdicts.get(id_key(target.target_id))
        if outcome.category == UNCERTAIN and known is not None:
            category = _RECONCILED.get(str(known.get("verdict")), UNCERTAIN)
            outcome = outcome._replace(category=category, message=str(known.get("evidence") or outcome.message))
        found[host] = outcome
    return found


def _of_counters(facts: Facts) -> dict[str, int]:
    """The number of instances by category, from the counters of a rollout whose targets were not read."""
    record: Mapping[str, Any] = facts.rollout or mapping(facts.report.get("rollout"))
    counters = {key: _count(record.get(key, record.get(f"{key}_targets"))) for key in ("total", *_COUNTERS)}
    counters["cancelled"] = max(0, counters["total"] - sum(counters[key] for key in _COUNTERS))
    found = dict.fromkeys(CATEGORIES, 0)
    for key in (*_TARGETS, "uncertain"):
        found[category_of_target(key, facts.status if facts.kind == ROLLOUT else "")[0]] += counters[key]
    for row in _reconciled(facts):
        known = _RECONCILED.get(str(row.get("verdict")))
        if known and found[UNCERTAIN]:
            found[UNCERTAIN] -= 1
            found[known] += 1
    return found


def _reconciled(facts: Facts) -> list[Record]:
    return records_in(facts.report.get("reconciled"))


def _count(value: Any) -> int:
    found = count(value)
    return found if found < _TOO_MANY else 0
