# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands for monitoring: check (one line for each figure, exit code 0, 1, 2 or 3) and metrics (the fleet and its
operations). Both can write a Prometheus textfile."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_collections.fleetops.agents.plugins.module_utils._rules.printable import printable_line
from console.cli.lists import stuck_options, stuck_rules
from console.cli.options import OutputError, command, format_option, measure, not_blank, put, run_log_option, say
from console.monitoring.backlog import backlog
from console.monitoring.checks import FIGURES, Check, Level, Limits, judge, value_text, worst
from console.monitoring.metrics import check_metrics, fleet_metrics
from console.record.opening import DatabaseProblem
from console.record.read.fleet import fleets
from console.record.read.operations import operation_totals
from console.record.read.record_health import last_maintenance, run_log_positions, vitals
from console.settings.environment import Settings, SettingsError, path_of
from console.text.listing import listing

# What monitoring plugins return for UNKNOWN.
_UNKNOWN = 3

_CODES = """\
exit codes:
  0    everything is OK
  1    at least one WARNING
  2    at least one CRITICAL, the database cannot be read, or wrong usage
  3    the output could not be written

Limits have the form WARNING,CRITICAL, with times such as 90s, 10min, 24h or 3d, sizes such as 512KiB or 10MiB, and
counts as whole numbers. Either may be "off"; a single "off" disables the check. Run the command from cron or a timer.
"""


def register(commands: Any) -> None:
    check = command(
        commands,
        "check",
        _check,
        "check the recorded data against limits, for a monitoring system",
        description="Checks the age of the recorded data, and the recorded state of the fleet, against limits.",
        epilog=_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    run_log_option(check)
    format_option(check)
    for figure in FIGURES:
        defaults = ",".join(
            "off" if at is None else value_text(at, figure.unit).replace(" ", "")
            for at in (figure.limits.warning, figure.limits.critical)
        )
        text = f"{figure.what} (default: {defaults})"
        check.add_argument(
            f"--{figure.name}", type=_limits(figure.unit), default=figure.limits, metavar="W,C", help=text
        )
    stuck_options(check)
    textfile = "also write the figures to this file, for node_exporter's textfile collector"
    check.add_argument("--prometheus", type=not_blank, metavar="FILE", help=textfile)

    metrics = command(
        commands,
        "metrics",
        _metrics,
        "write the state of the fleet and its operations as Prometheus metrics",
        description="Writes the state of the fleet and all recorded operations in the text format of Prometheus, to"
        " standard output or to a file for node_exporter's textfile collector. Counters are calculated from data that"
        " prune never deletes. check --prometheus writes the age of the recorded data, and what is stuck or failed.",
    )
    output = "write to this file, which is replaced atomically; the collector reads only files whose names end in .prom"
    metrics.add_argument("--output", type=not_blank, metavar="FILE", help=output)
    permissions = "permissions of the file (default: %(default)s)"
    metrics.add_argument("--mode", choices=("0600", "0640", "0644"), default="0644", help=permissions)


def _limits(unit: str) -> Callable[[str], Limits]:
    def parse(text: str) -> Limits:
        parts = [None if part.strip() == "off" else measure(part, unit) for part in text.split(",")]
        if len(parts) > 2 or (len(parts) == 1 and parts[0] is not None):
            raise argparse.ArgumentTypeError(f"must be WARNING,CRITICAL or off; it is {text!r}")
        warning, critical = parts if len(parts) == 2 else (None, None)
        if warning is not None and critical is not None and warning > critical:
            raise argparse.ArgumentTypeError(f"must not have a critical limit below the warning limit; it is {text!r}")
        return Limits(warning, critical)

    return parse


def _check(options: argparse.Namespace, settings: Settings) -> int:
    now = time.time()
    figures = None
    try:
        figures = vitals(settings.database, now, stuck_rules(options))
        waiting = backlog(settings.run_log_dir, run_log_positions(settings.database))
    except DatabaseProblem as problem:
        checks = [Check("database", Level.CRITICAL, str(problem), None)]
    else:
        limits = {figure.name: getattr(options, figure.name.replace("-", "_")) for figure in FIGURES}
        checks = judge(figures, waiting, now, limits)
    if options.prometheus:
        write_textfile(path_of(options.prometheus), check_metrics(checks, figures, now))
    if options.format == "table":
        ordered = sorted(checks, key=lambda check: -check.level)
        text = "".join(f"{c.level.name:<8}  {c.name}: {printable_line(c.sentence)}\n" for c in ordered)
    else:
        rows = [
            {"check": c.name, "level": c.level.name.lower(), "value": c.value, "sentence": c.sentence} for c in checks
        ]
        text = listing(rows, ["check", "level", "value", "sentence"], options.format)
    try:
        put(text)
    except OutputError as error:
        return say(error, _UNKNOWN)
    return int(worst(checks))


def _metrics(options: argparse.Namespace, settings: Settings) -> int:
    now = float(int(time.time()))
    found = fleet_metrics(
        fleets(settings.database, now),
        operation_totals(settings.database),
        backup_at=last_maintenance(settings.database).backup_at,
        now=now,
    )
    if options.output:
        write_textfile(path_of(options.output), found, int(options.mode, 8))
    else:
        put(found)
    return 0


def write_textfile(file: Path, text: str, mode: int = 0o644) -> None:
    """Replace the file atomically, because node_exporter's textfile collector may read it at any moment.

    A device or a pipe, such as ``/dev/stdout``, is written to instead; for a link, the file that it points to is
    replaced. ``mode`` must allow the exporter, which runs under another account, to read it. Raises SettingsError.
    """
    try:
        if file.exists() and not file.is_file():
            with file.open("w", encoding="utf-8") as stream:
                stream.write(text)
            return
        file = file.resolve()
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=file.parent, prefix=f".{file.name}.", delete=False
        ) as stream:
            written = Path(stream.name)
            try:
                stream.write(text)
                stream.flush()
                written.chmod(mode)
                written.replace(file)
            except BaseException:
                written.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise SettingsError(f"The textfile {file} cannot be written: {error.strerror or error}.") from error
