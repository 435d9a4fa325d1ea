# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command for monitoring: one line for each figure, exit code 0, 1 or 2, and a Prometheus textfile."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

from ansible_collections.fleetops.agents.plugins.module_utils._rules.printable import printable_line
from console.cli.lists import stuck_options, stuck_rules
from console.cli.options import command, format_option, measure, put, write_textfile
from console.monitoring.limits import FIGURES, Limits, in_words
from console.settings.environment import Settings, path_of
from console.text.listing import listing

_CODES = """\
exit codes:
  0    all is well
  1    at least one WARNING
  2    at least one CRITICAL, the database cannot be read, or wrong usage

Limits are WARNING,CRITICAL: times as 90s, 10min, 24h or 3d, sizes as 512KiB or 10MiB, counts as whole numbers. Either
may be "off"; a single "off" disables the check. The command ends after one check: run it from cron or a timer.
"""


def register(commands: Any) -> None:
    """Add the command to the parser's."""
    check = command(
        commands,
        "check",
        _check,
        "check the recorded data against limits, for a monitoring system",
        description="Checks the age of the recorded data, and the recorded state of the fleet, against limits.",
        epilog=_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    check.add_argument("--spool", metavar="DIR", help="folder of the run logs (default: FLEETOPS_RUN_LOG_DIR)")
    format_option(check)
    for figure in FIGURES:
        usual = ",".join(
            "off" if at is None else in_words(at, figure.unit).replace(" ", "")
            for at in (figure.limits.warning, figure.limits.critical)
        )
        check.add_argument(
            f"--{figure.name}",
            type=_limits(figure.unit),
            default=figure.limits,
            metavar="W,C",
            help=f"{figure.what} (default: {usual})",
        )
    stuck_options(check)
    check.add_argument(
        "--prometheus",
        metavar="FILE",
        help="also write the figures to this file, for node_exporter's textfile collector",
    )


def _limits(unit: str) -> Callable[[str], Limits]:
    def parse(text: str) -> Limits:
        parts = [None if part.strip() == "off" else measure(part, unit) for part in text.split(",")]
        if len(parts) > 2 or (len(parts) == 1 and parts[0] is not None):
            raise argparse.ArgumentTypeError(f"must be WARNING,CRITICAL or off; it is {text!r}")
        warning, critical = parts if len(parts) == 2 else (None, None)
        if warning is not None and critical is not None and warning > critical:
            raise argparse.ArgumentTypeError(f"must not be critical below the warning; it is {text!r}")
        return Limits(warning, critical)

    return parse


def _check(options: argparse.Namespace, settings: Settings) -> int:
    # Imported here: pandas takes a second to load.
    from console.monitoring.backlog import backlog
    from console.monitoring.checks import Check, judge, metrics, worst
    from console.monitoring.limits import Level
    from console.record.opening import DatabaseProblem
    from console.record.read.record_health import spool_positions, vitals

    now = time.time()
    figures = None
    try:
        figures = vitals(settings.database, now, stuck_rules(options))
        waiting = backlog(settings.spool_dir, spool_positions(settings.database))
    except DatabaseProblem as problem:
        checks = [Check("database", Level.CRITICAL, str(problem).rstrip("."), None)]
    else:
        limits = {figure.name: getattr(options, figure.name.replace("-", "_")) for figure in FIGURES}
        checks = judge(figures, waiting, now, limits)
    if options.prometheus:
        write_textfile(path_of(options.prometheus), metrics(checks, figures, now))
    if options.format == "table":
        for check in sorted(checks, key=lambda check: -check.level):
            put(f"{check.level.name:<8}  {check.name}: {printable_line(check.sentence)}.\n")
    else:
        rows = [
            {"check": c.name, "level": c.level.name.lower(), "value": c.value, "sentence": f"{c.sentence}."}
            for c in checks
        ]
        put(listing(rows, ["check", "level", "value", "sentence"], options.format))
    return int(worst(checks))
