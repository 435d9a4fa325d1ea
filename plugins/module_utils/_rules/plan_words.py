# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A plan in words: the lines that a person reads before the run. Pure."""

from __future__ import annotations

from .durations import clock, duration
from .freezes import NO_FREEZES, Freezes
from .order import NO_FACTS, NO_RULES, Facts, Rules, caps_of
from .pace import CONTINUOUS
from .plan import Plan
from .record_words import counted
from .window import Window


def plan_lines(
    plan: Plan,
    *,
    window: Window,
    limit: int,
    redeploy_all: bool,
    freezes: Freezes = NO_FREEZES,
    rules: Rules = NO_RULES,
    facts: Facts = NO_FACTS,
    act: str = "redeploy",
    limited_by: str = "max_parallel_rollouts",
) -> list[str]:
    """The lines of a plan: the instances and what is done to them, the batches, the expected end, and the hash.

    ``limit``: how many instances are in flight at once, by the setting ``limited_by``. ``act``: what is done to an
    instance, as an infinitive.
    """
    total, planned = len(plan.members), plan.planned
    how = f"{len(plan.batches)} {'batch' if len(plan.batches) == 1 else 'batches'}"
    if plan.pace == CONTINUOUS:
        how = "one stream" if len(plan.batches) < 2 else "a canary batch and one stream"
    lines = [f"{counted(total, 'instance')}: {len(planned)} to {act} in {how}, at most {limit} at once ({limited_by})."]
    versions = sorted({(m.current or "?", m.available or "?") for m in planned})
    if planned and not redeploy_all:
        lines.append(
            "Version changes: " + ", ".join(f"{current} to {available}" for current, available in versions) + "."
        )
    for number, (part, batch, expected) in enumerate(zip(plan.parts, plan.batches, plan.expected, strict=True), 1):
        title = "Stream" if plan.pace == CONTINUOUS and number == len(plan.batches) else f"Batch {number}"
        of = f" ({part.name})" if part.name else ""
        lines.append(
            f"{title}{of}: {', '.join(m.name for m in batch)} ({duration(expected.p90)} at the 90th percentile)."
        )
    lines += _rule_lines(plan, rules, facts)
    if plan.skipped:
        lines.append(f"Already current, not changed: {', '.join(m.name for m in plan.skipped)}.")
    if plan.gone:
        lines.append(f"Not found on the server, so left out: {', '.join(plan.gone)}.")
    if planned:
        recent = counted(plan.samples, "recent redeploy")
        unknown = ", because no recent redeploy is known" if act == "redeploy" else ""
        source = recent if plan.samples else f"an assumed duration{unknown}"
        median, most = (duration(ends - plan.fit.starts_at) for ends in (plan.fit.ends_p50, plan.fit.ends_p90))
        span = f"about {median}" if median == most else f"{median} (median) to {most} (90th percentile)"
        lines.append(f"Expected duration: {span}, ending by {clock(plan.fit.ends_p90)}; calculated from {source}.")
        lines += _window_lines(plan, window, freezes)
    lines.append(f"Plan hash: {plan.hash}")
    return lines


def _rule_lines(plan: Plan, rules: Rules, facts: Facts) -> list[str]:
    """The lines about the rules for the order, and about instances that come last or are left out."""
    lines = []
    names = {member.name for member in plan.planned}
    if rules.order != "name":
        lines.append(f"Order: {rules.order}{f'({rules.seed})' if rules.seed else ''}.")
    if rules.canary_hosts is not None and not names & set(rules.canary_hosts):
        lines.append("None of the canary hosts is in this run, so the first batch is the canary.")
    empty = [wave.name for wave in rules.waves if not names & set(wave.hosts)]
    if empty:
        lines.append(f"Waves without an instance in this run: {', '.join(empty)}.")
    if rules.most and rules.scope == "at_once":
        caps = caps_of(plan.members, rules)
        shares = ", ".join(f"{most} of {group or 'the fleet'}" for group, most in sorted(caps.items()))
        lines.append(f"At most {shares} at once (max_share {rules.most}).")
    busy = [f"{name} ({why})" for name, why in facts.busy.items() if name in names]
    if busy:
        lines.append(
            f"Busy, so at the end: {', '.join(busy)}. An instance that is still busy then is not touched, and the "
            "report says so."
        )
    failing = [member.name for member in plan.planned if member.name in facts.failing]
    if failing:
        lines.append(
            f"In quarantine, so last, each in a batch of its own: {', '.join(failing)}. "
            f"The last {rules.quarantine} redeploys of each failed."
        )
    reasons: dict[str, list[str]] = {}
    for name, why in plan.left.items():
        reasons.setdefault(why, []).append(name)
    lines += [f"Left for a later run ({len(left)}): {', '.join(left)}; {why}." for why, left in reasons.items()]
    return lines


def _window_lines(plan: Plan, window: Window, freezes: Freezes) -> list[str]:
    problem = window.problem or freezes.problem
    if problem:
        return [f"{problem} Nothing is started until this is corrected."]
    frozen = freezes.during(plan.fit.asked_at) or freezes.next_after(plan.fit.asked_at)
    if frozen is None and window.always_open:
        return [window.sentence(plan.fit.asked_at)]
    lines = []
    if frozen is not None:
        reason = f" ({frozen.reason})" if frozen.reason else ""
        lines.append(f"Changes are frozen from {clock(frozen.start)} to {clock(frozen.end)}{reason}.")
    lines.append(_fit_line(plan, window))
    return lines


def _fit_line(plan: Plan, window: Window) -> str:
    fits, batches = plan.fit.batches_that_fit, len(plan.batches)
    if window.always_open:
        hours = "The time between freezes"
    else:
        hours = f"The maintenance window ({window.start:02d}:00 to {window.end:02d}:00 UTC)"
    if plan.fit.next_opening is not None:
        hours += f" is closed; it opens next at {clock(plan.fit.next_opening)}, and from then on"
    elif not plan.fit.open_now:
        return "Nothing fits: changes are frozen for more than a year."
    else:
        hours += f" is open until {clock(plan.fit.closes_at or 0)};"
    instances = plan.fit.instances_that_fit
    if instances is not None:
        fitting = "all" if instances == len(plan.planned) else f"only {instances} of {len(plan.planned)}"
        return f"{hours} {fitting} instances fit."
    if fits == batches:
        return f"{hours} all batches fit."
    instances = sum(len(batch) for batch in plan.batches[:fits])
    return f"{hours} only {fits} of {batches} batches fit ({instances} of {len(plan.planned)} instances)."
