# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`sync awx` and `sync runner DIR`: runs of AWX and ansible-runner, into the same tables as those of the run log."""

from __future__ import annotations

import argparse
import contextlib
import os
import time
from collections.abc import Callable
from typing import Any

from console.cli.options import days_option, progress_line, put_report
from console.settings.environment import Settings, SettingsError, path_of

_AWX = """\
Reads jobs that have ended, with their events, over the REST API, and continues where the last import ended. Set
FLEETOPS_AWX_URL, FLEETOPS_AWX_TOKEN (a token with read scope) and, if the system does not trust the authority of its
certificate, FLEETOPS_AWX_CA_PATH."""

# The filters of AWX's jobs, by the name of the option.
FILTERS = {"project": "of this project", "template": "of this job template", "label": "with this label"}


def register(sync: argparse.ArgumentParser, parser_class: type[argparse.ArgumentParser]) -> None:
    """Add the sources to the parser of `sync`; without a source it reads the run logs and the API."""
    sources = sync.add_subparsers(dest="source", metavar="source", parser_class=parser_class, title="other sources")

    awx = sources.add_parser("awx", help="jobs of AWX or Automation Platform", description=_AWX, allow_abbrev=False)
    awx.set_defaults(run=_awx)
    _common(awx)
    for name, what in FILTERS.items():
        awx.add_argument(f"--{name}", metavar="NAME", help=f"only jobs {what}")
    days_option(awx, "jobs")

    runner = sources.add_parser("runner", help="artifact folders of ansible-runner", allow_abbrev=False)
    runner.set_defaults(run=_runner)
    _common(runner)
    runner.add_argument(
        "folder", metavar="DIR", help="a private data directory, its artifacts folder, or the folder of one run"
    )


def _common(parser: argparse.ArgumentParser) -> None:
    # Without a default of their own: an option given before the name of the source keeps its value.
    parser.add_argument(
        "--db", metavar="FILE", default=argparse.SUPPRESS, help="the database (default: FLEETOPS_CONSOLE_DB)"
    )
    parser.add_argument("--quiet", action="store_true", default=argparse.SUPPRESS, help="show no progress")


def _awx(options: argparse.Namespace, settings: Settings) -> int:
    # Imported here and below: --help needs neither requests nor the collection.
    from ansible_collections.fleetops.agents.plugins.module_utils._client.redact import Redactor
    from console.collect.jobs.awx import JobFilter, sync_awx
    from console.collect.jobs.awx_client import AwxClient, load_awx

    _refuse_follow(options)
    connection = load_awx()
    wanted = JobFilter(options.project, options.template, options.label, options.days)
    redactor = Redactor([connection.token, os.environ.get("FLEETOPS_API_KEY")])
    with contextlib.closing(AwxClient(connection)) as client:
        return _import(
            options,
            settings,
            lambda store, progress: sync_awx(
                store, client, now=time.time, wanted=wanted, redactor=redactor, progress=progress
            ),
        )


def _runner(options: argparse.Namespace, settings: Settings) -> int:
    from console.collect.jobs.runner import sync_runner

    _refuse_follow(options)
    folder = path_of(options.folder)
    return _import(
        options, settings, lambda store, progress: sync_runner(store, folder, now=time.time, progress=progress)
    )


def _refuse_follow(options: argparse.Namespace) -> None:
    if options.follow:
        raise SettingsError(
            f"sync {options.source} reads once. To follow AWX, set FLEETOPS_AWX_URL and give sync --follow without it."
        )


def _import(options: argparse.Namespace, settings: Settings, read: Callable[..., Any]) -> int:
    from console.record.write.store import open_store

    with (
        progress_line(options.quiet) as progress,
        open_store(settings.database, make_folder=settings.database_is_default) as store,
    ):
        report = read(store, progress)
    return put_report(settings.database, report)
