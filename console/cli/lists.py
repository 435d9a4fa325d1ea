# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that read: runs, rollouts, failures and stuck, as a table, JSON or CSV."""

from __future__ import annotations

import argparse
import math
import time
from typing import Any

from console.cli.options import at_least_one, command, days_option, duration, list_options, option, put, repeated, say
from console.record.read import rollouts, runs
from console.record.read.frames import reading
from console.settings.environment import Settings
from console.text.listing import listing, records

_RUNS = "run_id playbook status verdict check_mode started_at ended_at user hosts ok changed failed unreachable"
_RUNS += " skipped why"
_ROLLOUTS = "rollout_id scope status created_at completed_at total succeeded failed uncertain"
_ROLLOUTS += " in_progress queued cancelled"
_FAILURES = "fingerprint failures hosts targets results first_at last_at newest_host message rollout_id run_id"
_STUCK = "rule targets host since_at for_s why rollout_id run_id"


def register(commands: Any) -> None:
    """Add the commands to the parser's."""
    for name, what in (("runs", "playbook runs"), ("rollouts", "rollouts")):
        lister = command(commands, name, _list, f"list {what}, newest first")
        list_options(lister)
        repeated(lister, "--status", "only with this status (may be repeated)")

    failures = command(
        commands, "failures", _failures, "list failure messages of targets and tasks, the most frequent first"
    )
    list_options(failures)
    days_option(failures, "failures")

    stuck = command(commands, "stuck", _stuck, "list targets that make no progress, uncertain targets and lost runs")
    list_options(stuck)
    stuck_options(stuck)


def stuck_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what counts as stuck."""
    slower = "a target in progress is stuck after N times the 95th percentile of its scope"
    option(parser, "--slower", at_least_one, 3, "N", slower)
    option(parser, "--at-least", duration, "10min", "TIME", "but not before this time")
    grace = "a queued target is stuck this long after its countdown, while the window is open and a slot is free"
    option(parser, "--grace", duration, "60s", "TIME", grace)


def stuck_rules(options: argparse.Namespace) -> Any:
    """The rules that the options name, as StuckRules."""
    from console.record.read.stuck import StuckRules

    return StuckRules(slower=options.slower, at_least=options.at_least, grace=options.grace)


def _list(options: argparse.Namespace, settings: Settings) -> int:
    of_runs = options.command == "runs"
    read, columns = (runs.runs, _RUNS) if of_runs else (rollouts.rollouts, _ROLLOUTS)
    with reading(settings.database) as conn:
        frame, total = read(conn, tuple(options.status), size=options.limit)
        if of_runs:
            # Imported only here, because it loads more than the other lists need.
            from console.outcomes.facts import RUN
            from console.record.read.operations import Key, rows_of

            judged = rows_of(conn, [Key(0.0, RUN, run_id, None) for run_id in frame["run_id"]], time.time())
    if of_runs:
        for word in ("verdict", "why"):
            frame[word] = [row[word] for row in judged]
        # An old run log does not say it.
        frame["check_mode"] = [None if flag is None or math.isnan(flag) else bool(flag) for flag in frame["check_mode"]]
    code = _put(frame, columns, options, f"{total:,}" if total > len(frame) else "")
    if options.status and not total:
        known = runs.statuses(settings.database, options.command)
        there = f"known: {', '.join(known)}" if known else "none is stored"
        return say(f"note: no {options.command} with the status {' or '.join(options.status)}; {there}.", code)
    return code


def _failures(options: argparse.Namespace, settings: Settings) -> int:
    from console.record.read.failures import failures_by_message

    since = time.time() - options.days * 86400.0 if options.days else 0.0
    # One more than is shown tells whether there are more.
    frame = failures_by_message(settings.database, since, options.limit + 1)
    return _put(frame.head(options.limit), _FAILURES, options, "more" if len(frame) > options.limit else "")


def _stuck(options: argparse.Namespace, settings: Settings) -> int:
    from console.record.read.stuck import stuck

    frame = stuck(settings.database, float(int(time.time())), stuck_rules(options))
    return _put(frame.head(options.limit), _STUCK, options, f"{len(frame):,}" if len(frame) > options.limit else "")


def _put(frame: Any, columns: str, options: argparse.Namespace, of: str) -> int:
    """Write the rows; ``of``: how many there are, if there are more than these rows, else ''."""
    rows = records(frame)
    put(listing(rows, columns.split(), options.format))
    return say(f"note: {len(rows):,} of {of} shown; --limit shows more.", 0) if of else 0
