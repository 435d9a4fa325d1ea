# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands fleet, operations, runs, rollouts, failures and stuck, which only read the database."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import iso_time
from ansible_collections.fleetops.agents.plugins.module_utils._rules.printable import printable_line
from console.cli import options as cli
from console.outcomes.words import CATEGORIES, STATUSES, VERDICTS, counts_text, started_by, title
from console.record.read import rollouts, runs
from console.record.read.frames import reading
from console.settings.environment import Settings
from console.settings.invocation import command_for
from console.text import times
from console.text.counts import counted
from console.text.listing import Table, as_json, listing, records

if TYPE_CHECKING:
    from console.record.read.fleet import Fleet


_RUNS = "run_id playbook status verdict check_mode started_at ended_at user hosts ok changed failed unreachable"
_RUNS += " skipped why change controller"
_ROLLOUTS = "rollout_id scope status created_at completed_at total succeeded failed uncertain"
_ROLLOUTS += " in_progress queued cancelled host run_id"
_FAILURES = "fingerprint failures hosts targets results first_at last_at newest_host message rollout_id run_id"
_FAILURES += " operations"
_STUCK = "rule targets host since_at for_s why rollout_id run_id"
_OPERATIONS = ("started_at", "title", "check", "to_version", "who", *CATEGORIES, "verdict", "why", "seconds", "kind",
               "key")  # fmt: skip
_TIMES = ("health_at", "api_at", "runs_at")

# The columns of the format "table".
_TABLES: dict[str, Table] = {
    "runs": {
        "started": "started_at", "playbook": lambda row: row["playbook"] and PurePath(row["playbook"]).name,
        "status": "status", "verdict": "verdict",
        "check": "check_mode", "user": "user", "hosts": "hosts", "changed": "changed", "failed": "failed",
        "unreachable": "unreachable", "change": "change", "run_id": "run_id", "why": "why",
    },
    "failures": {
        "failures": "failures", "hosts": "hosts", "operations": "operations", "first": "first_at", "last": "last_at",
        "newest host": "newest_host", "message": "message",
    },
    "stuck": {
        "host": "host", "since": "since_at", "for": lambda row: times.duration(row["for_s"]), "why": "why",
        "targets": "targets", "id": lambda row: row["rollout_id"] or row["run_id"],
    },
    "operations": {
        "started": "started_at",
        "operation": lambda row: title(row) + (" (check mode)" if row["check"] is True else ""),
        "verdict": "verdict",
        "outcome": lambda row: counts_text(row, row["name"], check=row["check"] is True),
        "by": started_by,
        "took": lambda row: times.duration(row["seconds"]),
        "id": lambda row: row["key"][:8],
        "why": "why",
    },
}  # fmt: skip


def register(commands: Any) -> None:
    fleet = cli.command(
        commands, "fleet", _fleet, "show the state of the fleet: health, versions, updates, window, last day"
    )
    cli.format_option(fleet, ("text", "json"))

    lister = cli.command(
        commands,
        "operations",
        _operations,
        "list operations, newest first: playbook runs, rollouts started elsewhere, actions in the console",
    )
    cli.list_options(lister)
    cli.days_option(lister, "operations")
    cli.repeated(
        lister, "--verdict", "only operations with this verdict (may be repeated): %(choices)s", choices=VERDICTS
    )
    for name, what in (
        ("--who", "by users whose name or address contains TEXT"),
        ("--text", "with TEXT in the title, the id or a host name"),
    ):
        lister.add_argument(name, default="", metavar="TEXT", help=f"only operations {what}")

    for name, what in (("runs", "playbook runs"), ("rollouts", "rollouts")):
        lister = cli.command(commands, name, _list, f"list {what}, newest first")
        cli.list_options(lister)
        cli.repeated(lister, "--status", f"only {what} with this status (may be repeated)")

    failures = cli.command(
        commands, "failures", _failures, "list failure messages of targets and tasks, the most frequent first"
    )
    cli.list_options(failures)
    cli.days_option(failures, "failures")

    stuck = cli.command(
        commands, "stuck", _stuck, "list targets that make no progress, uncertain targets and lost runs"
    )
    cli.list_options(stuck)
    stuck_options(stuck)


def stuck_options(parser: argparse.ArgumentParser) -> None:
    slower = "a target in progress is stuck after N times the 95th percentile of its scope"
    cli.option(parser, "--slower", cli.at_least_one, 3, "N", slower)
    cli.option(parser, "--at-least", cli.duration, "10min", "TIME", "but not before it has run this long")
    grace = "a queued target is stuck this long after its countdown, while the window is open and a slot is free"
    cli.option(parser, "--grace", cli.duration, "60s", "TIME", grace)


def stuck_rules(options: argparse.Namespace) -> Any:
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
        # Old run logs do not record it.
        frame["check_mode"] = [None if flag is None or math.isnan(flag) else bool(flag) for flag in frame["check_mode"]]
    code = _put(records(frame), columns.split(), options, f"{total:,}" if total > len(frame) else "")
    if options.status and not total:
        known = runs.statuses(settings.database, options.command)
        hint = f"known statuses: {', '.join(known)}" if known else "none are stored"
        return cli.say(f"note: no {options.command} with the status {' or '.join(options.status)}; {hint}.", code)
    return code


def _failures(options: argparse.Namespace, settings: Settings) -> int:
    from console.record.read.failures_by_message import failures_by_message

    since = time.time() - options.days * 86400.0 if options.days else 0.0
    # One more than is shown, to know whether there are more.
    frame = failures_by_message(settings.database, since, options.limit + 1)
    more = f"more than {options.limit:,}" if len(frame) > options.limit else ""
    return _put(records(frame.head(options.limit)), _FAILURES.split(), options, more)


def _stuck(options: argparse.Namespace, settings: Settings) -> int:
    from console.record.read.stuck import stuck

    frame = stuck(settings.database, float(int(time.time())), stuck_rules(options))
    more = f"{len(frame):,}" if len(frame) > options.limit else ""
    return _put(records(frame.head(options.limit)), _STUCK.split(), options, more)


def _put(rows: list[dict[str, Any]], columns: Sequence[str], options: argparse.Namespace, of: str) -> int:
    """Write the rows. ``of``: how many rows exist, if not all of them are written, else ''."""
    cli.put(listing(rows, columns, options.format, _TABLES.get(options.command)))
    return cli.say(f"note: {len(rows):,} of {of} shown; use --limit to show more.", 0) if of else 0


def _operations(options: argparse.Namespace, settings: Settings) -> int:
    # Imported only here and in _fleet, because pandas takes a second to load.
    from console.record.read.operations import OperationFilter, operations

    now = float(int(time.time()))
    wanted = OperationFilter(
        since=now - options.days * 86400.0 if options.days else None,
        verdicts=tuple(options.verdict),
        who=options.who,
        text=options.text,
    )
    frame, total = operations(settings.database, now, wanted, size=options.limit)
    rows = records(frame)
    for row in rows:
        # NaN, for an unknown duration, is not equal to itself.
        row["seconds"] = None if row["seconds"] != row["seconds"] else round(row["seconds"])
    return _put(rows, _OPERATIONS, options, f"{total:,}" if total > len(rows) else "")


def _fleet(options: argparse.Namespace, settings: Settings) -> int:
    from console.record.read.fleet import fleets

    now = float(int(time.time()))
    found = fleets(settings.database, now)
    if options.format == "json":
        cli.put(as_json([_plain(fleet) for fleet in found]))
    elif found:
        texts = (map(printable_line, fleet_lines(fleet, now, several=len(found) > 1)) for fleet in found)
        cli.put("\n".join("\n".join(lines) + "\n" for lines in texts))
    read = command_for(settings.database, "sync --details")
    if not found:
        return cli.say(f"note: the API was never read, or is retired. Read it with: {read}", 0)
    if any(fleet.published is None for fleet in found):
        return cli.say(f"note: the versions were not read. Read them with: {read}", 0)
    return 0


def _plain(fleet: Fleet) -> dict[str, Any]:
    """The state of a fleet as plain data for JSON, with times as ISO 8601 text in UTC."""
    document = asdict(fleet)
    for name in _TIMES:
        document[name] = iso_time(document[name])
    if document["window"] is not None:
        document["window"] |= {name: iso_time(document["window"][name]) for name in ("opens_at", "closes_at")}
    document["versions"] = [{"version": version, "instances": n} for version, n in fleet.versions]
    document["published_others"] = [
        {"version": version, "instances": n, "one_of_them": host} for version, n, host in fleet.published_others
    ]
    return document


def fleet_lines(fleet: Fleet, now: float, *, several: bool) -> list[str]:
    """The state of a fleet as lines for a terminal. ``several``: there are other fleets too."""
    limit = "; the limit is unknown" if fleet.limit is None else f" of at most {fleet.limit:,}"
    rows = [
        ("Health", _health(fleet, now)),
        ("Runtime", _runtime(fleet)),
        ("Updates", _updates(fleet)),
        ("In flight", f"{fleet.in_flight:,}{limit}."),
        ("Window", fleet.window.sentence if fleet.window else "The update policy was never read."),
        ("Last 24 h", _last_day(fleet, " of all tenants" if several else "")),
        ("Data", f"API read {_ago(fleet.api_at, now)}, run logs read {_ago(fleet.runs_at, now)}."),
    ]
    return [f"{fleet.tenant}: {counted(fleet.instances, 'instance')}", *(f"  {name:<10} {text}" for name, text in rows)]


def _health(fleet: Fleet, now: float) -> str:
    parts = [f"{n:,} {word}" for word, n in fleet.health.items() if n or word == "healthy"]
    since = f"; the oldest check was {_ago(fleet.health_at, now)}" if fleet.health_at is not None else ""
    return f"{', '.join(parts)}{since}."


def _runtime(fleet: Fleet) -> str:
    if fleet.published is None:
        return "Not read, so the published version is unknown."
    others = [f"{version or 'not read'} {n:,}" for version, n in fleet.versions if version != fleet.published]
    text = f"{fleet.on_published:,} of {fleet.instances:,} run the published version {fleet.published}"
    text += f" (others: {', '.join(others)})." if others else "."
    for version, n, host in fleet.published_others:
        who = f"{host} reports" if n == 1 else f"{n:,} instances, including {host}, report"
        text += f" However, {who} {version} as the published version."
    return text


def _updates(fleet: Fleet) -> str:
    if not fleet.updates_read:
        return "Not read."
    waiting = [f"{kind} on {n:,}" for kind, n in fleet.updates.items() if n]
    missing = fleet.instances - fleet.updates_read
    return f"{', '.join(waiting) or 'No updates are waiting'}{f'; {missing:,} not read' if missing else ''}."


def _last_day(fleet: Fleet, of: str) -> str:
    words = [f"{fleet.operations[word]:,} {word}" for word in STATUSES if fleet.operations.get(word)]
    return f"{counted(sum(fleet.operations.values()), 'operation')}{of}{': ' if words else ''}{', '.join(words)}."


def _ago(at: float | None, now: float) -> str:
    return "never" if at is None else times.ago(max(0.0, now - at))
