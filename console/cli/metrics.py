# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command metrics: the fleet and its operations in Prometheus' text format."""

from __future__ import annotations

import argparse
import time
from typing import Any

from console.cli.options import command, put, write_textfile
from console.settings.environment import Settings, path_of


def register(commands: Any) -> None:
    """Add the command to the parser's."""
    metrics = command(
        commands,
        "metrics",
        _metrics,
        "write the state of the fleet and its operations as metrics of Prometheus",
        description="Writes the fleet's state and all operations of the record in Prometheus' text format, to standard"
        " output or to a file for node_exporter's textfile collector. Counters are calculated from data that"
        " prune never deletes. check --prometheus writes the age of the recorded data, and what is stuck or failed.",
    )
    metrics.add_argument(
        "--output", metavar="FILE", help="write to this file, replacing it as a whole; its name must end in .prom"
    )
    metrics.add_argument(
        "--mode",
        choices=("0600", "0640", "0644"),
        default="0644",
        help="permissions of the file (default: %(default)s)",
    )


def _metrics(options: argparse.Namespace, settings: Settings) -> int:
    # Imported here: frames take a second to load.
    from console.monitoring.metrics import text
    from console.record.read.fleet import fleets
    from console.record.read.metrics import operation_totals
    from console.record.read.record_health import last_maintenance

    now = float(int(time.time()))
    found = text(
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
