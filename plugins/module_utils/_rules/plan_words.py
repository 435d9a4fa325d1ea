# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""A plan in words: the lines that a person reads before the run. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from .pace import CONTINUOUS
from .plan import Member, Plan
from .window import Window


def in_words(plan: Plan, *, window: Window, limit: int, redeploy_all: bool) -> list[str]:
    """The lines of a plan: what happens to whom, in which batches, until when, and the hash to pin it."""
    total, planned = len(plan.members), plan.planned
    how = f"{len(plan.batches)} {'batch' if len(plan.batches) == 1 else 'batches'}"
    if plan.pace == CONTINUOUS:
        how = "one stream" if len(plan.batches) < 2 else "a canary batch and one stream"
    lines = [
        f"{total} {_instances(total)}: {len(planned)} to redeploy in {how}, "
        f"at most {limit} at once (max_parallel_rollouts)."
    ]
    versions = sorted({(m.current or "?", m.available or "?") for m in planned})
    if planned and not redeploy_all:
        lines.append("Versions: " + ", ".join(f"{current} to {available}" for current, available in versions) + ".")
    for number, (batch, expected) in enumerate(zip(plan.batches, plan.expected, strict=True), 1):
        title = "Stream" if plan.pace == CONTINUOUS and number == len(plan.batches) else f"Batch {number}"
        lines.append(f"{title}: {', '.join(m.name for m in batch)} ({duration(expected.p90)} at the 90th percentile).")
    lines += _left_alone(plan.skipped)
    if plan.gone:
        lines.append(f"Gone, and left out: {', '.join(plan.gone)}.")
    if planned:
        source = f"{plan.samples} recent redeploys" if plan.samples else "no recent redeploy, so by the fallback"
        p50, p90 = (plan.fit.ends_p50 - plan.fit.starts_at, plan.fit.ends_p90 - plan.fit.starts_at)
        lines.append(
            f"Expected to take {duration(p50)} (half of the times) to {duration(p90)} (nine times of ten), "
            f"ending by {clock(plan.fit.ends_p90)}; from {source}."
        )
        lines.append(_window_line(plan, window))
    lines.append(f"Plan hash: {plan.hash}")
    return lines


def _left_alone(skipped: list[Member]) -> list[str]:
    return [f"Left alone, current already: {', '.join(m.name for m in skipped)}."] if skipped else []


def _window_line(plan: Plan, window: Window) -> str:
    fits, batches = plan.fit.batches_that_fit, len(plan.batches)
    if window.problem:
        return f"{window.problem} Nothing is started until then."
    if window.always_open:
        return "There is no maintenance window to keep to."
    hours = f"The maintenance window ({window.start:02d}:00 to {window.end:02d}:00 UTC)"
    if plan.fit.next_opening is not None:
        hours += f" is closed; it opens next at {clock(plan.fit.next_opening)}, and from then on"
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


def _instances(count: int) -> str:
    return "instance" if count == 1 else "instances"


def duration(seconds: float) -> str:
    """Seconds as people say them: 45 s, 12 min, 3 h 20 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def clock(at: float) -> str:
    """Epoch seconds as a moment in UTC, to the minute."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
