# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command sync: reads run logs and the API into the database, once or with --follow until it is stopped. `sync awx`
and `sync runner DIR` read runs of AWX and ansible-runner into the same tables as the run log."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.cli import options as cli
from console.cli.notify import notifier, rules_option
from console.collect.follow_pace import Pace
from console.settings.environment import ApiConnection, NotSetError, Settings, SettingsError, load_api, path_of
from console.text.times import moment

if TYPE_CHECKING:
    from console.collect.progress import Progress, ReadReport
    from console.notifications.notify import NotifyReport
    from console.record.write.store import Store

# The details of each instance that sync reads on request: collect.api.instances.KINDS, which --help does not import.
_DETAILS = {
    "health": "the health that the server has stored",
    "updates": "versions and available updates",
    "actions": "the newest 100 actions",
    "memory": "the number of memories, not their contents",
}
_PACE = {
    "interval": "time between two reads while a rollout or a playbook is in progress",
    "idle_interval": "time between two reads while none is in progress, and between two reads of AWX",
    "details_interval": "time between two reads of the audit and the details of an instance",
}

_AWX = """\
Reads jobs that have ended, with their events, over the REST API, and continues where the last import ended. Set
FLEETOPS_AWX_URL, FLEETOPS_AWX_TOKEN (a token with read scope) and, if the system does not trust AWX's certificate
authority, FLEETOPS_AWX_CA_PATH."""

# The filters for AWX jobs, by the name of the option.
_FILTERS = {"project": "of this project", "template": "of this job template", "label": "with this label"}


def register(commands: Any, parser_class: type[argparse.ArgumentParser]) -> None:
    sync = cli.command(commands, "sync", _sync, "bring the database up to date, once or with --follow")
    cli.run_log_option(sync)
    cli.flag(sync, "--no-spools", "do not read the run logs")
    cli.flag(sync, "--no-api", "do not read the API (no key is needed)")
    cli.flag(sync, "--no-audit", "do not read the audit (one call for each instance, two if there are new events)")
    cli.option(sync, "--rollouts", cli.at_least_one, 1000, "N", "how many of the newest rollouts to read")
    events = "how many of the newest audit events of each instance to read"
    cli.option(sync, "--audit-events", cli.at_least_one, 500, "N", events)
    only = "read the audit and the details of only this instance (host name or id; may be repeated)"
    cli.repeated(sync, "--instance", only, metavar="NAME")
    for kind, what in _DETAILS.items():
        cli.flag(sync, f"--{kind}", f"also read {what} (one call for each instance)")
    cli.flag(sync, "--details", "short for " + ", ".join(f"--{kind}" for kind in _DETAILS))
    cli.flag(sync, "--remove-loaded", "delete the run log of a run that has ended, once all of it is stored")
    cli.flag(sync, "--quiet", "show no progress")
    following = sync.add_argument_group("following")
    cli.flag(following, "--follow", "keep reading until SIGTERM or Ctrl-C, also AWX if FLEETOPS_AWX_URL is set")
    for name, what in _PACE.items():
        default = f"{getattr(Pace, name):g}s"
        given = "--" + name.replace("_", "-")
        following.add_argument(given, type=cli.duration, metavar="TIME", help=f"{what} (default: {default})")
    cli.flag(following, "--notify", "also send notifications, like the command notify")
    rules_option(following)
    cli.flag(following, "--no-awx", "do not read AWX")
    for name, what in _FILTERS.items():
        following.add_argument(f"--awx-{name}", type=cli.not_blank, metavar="NAME", help=f"from AWX, only jobs {what}")
    sources = sync.add_subparsers(dest="source", metavar="source", parser_class=parser_class, title="other sources")
    awx = _source(sources, "awx", _awx, "jobs of AWX or Automation Platform", description=_AWX)
    for name, what in _FILTERS.items():
        awx.add_argument(f"--{name}", type=cli.not_blank, metavar="NAME", help=f"only jobs {what}")
    cli.days_option(awx, "jobs")
    runner = _source(sources, "runner", _runner, "artifact folders of ansible-runner")
    folder = "a private data directory, its artifacts folder, or the folder of one run"
    runner.add_argument("folder", metavar="DIR", help=folder)


def _source(sources: Any, name: str, run: Callable[..., int], what: str, **more: Any) -> argparse.ArgumentParser:
    # No defaults for --db and --quiet, so that an option given before the name of the source keeps its value.
    parser = cli.command(sources, name, run, what, argument_default=argparse.SUPPRESS, **more)
    cli.flag(parser, "--quiet", "show no progress")
    parser.argument_default = None
    return parser


def _sync(options: argparse.Namespace, settings: Settings) -> int:
    if options.no_spools and options.no_api:
        raise SettingsError("With both --no-spools and --no-api there is nothing to sync; leave one of them out.")
    try:
        connection = None if options.no_api else load_api()
    except NotSetError as error:
        raise SettingsError(f"{error} To load only the run logs, use --no-api.") from None
    if options.remove_loaded:
        settings = replace(settings, remove_loaded=True)
    if options.follow:
        return _follow(options, settings, connection)
    for name in (*_PACE, "notify", "rules", "no_awx", *(f"awx_{name}" for name in _FILTERS)):
        if getattr(options, name):
            raise SettingsError(f"--{name.replace('_', '-')} works only with sync --follow; add --follow.")
    return _once(options, settings, connection)


def _api_options(options: argparse.Namespace) -> Any:
    # Imported here and below, because other commands do not need requests, which takes long to load.
    from console.collect.api.session import ApiOptions

    return ApiOptions(
        rollouts=options.rollouts,
        audit=not options.no_audit,
        audit_events=options.audit_events,
        details=tuple(kind for kind in _DETAILS if options.details or getattr(options, kind)),
        instances=tuple(options.instance),
    )


def _once(options: argparse.Namespace, settings: Settings, connection: ApiConnection | None) -> int:
    from console.collect.sync import sync_once

    with cli.progress_line(options.quiet) as progress:
        report = sync_once(
            settings,
            connection=connection,
            run_logs=not options.no_spools,
            api_options=_api_options(options),
            progress=progress,
        )
    return cli.put_report(settings.database, report)


def _follow(options: argparse.Namespace, settings: Settings, connection: ApiConnection | None) -> int:
    from ansible_collections.fleetops.agents.plugins.module_utils._client.redact import Redactor
    from console.collect.follow import Follower, FollowError, Source
    from console.collect.follow_sources import RETRIES, Api
    from console.collect.jobs.awx import JobFilter, sync_awx
    from console.collect.jobs.awx_client import AwxClient, load_awx
    from console.collect.progress import TerminalProgress, silent
    from console.collect.sync import load_run_logs

    pace = Pace(**{name: value for name in _PACE if (value := getattr(options, name)) is not None})
    if problem := pace.problem():
        raise SettingsError(f"{problem}.")
    if options.rules and not options.notify:
        raise SettingsError("--rules works only with --notify; add --notify.")
    send = notifier(options.rules) if options.notify else None
    awx = load_awx() if os.environ.get("FLEETOPS_AWX_URL", "").strip() and not options.no_awx else None
    secrets = [secret for secret in (connection and connection.api_key, awx and awx.api_key) if secret]
    sources, tenant = [], ""
    line = TerminalProgress(sys.stderr)

    def tell(sentence: str) -> None:
        line.close()
        cli.say(f"{moment(time.time(), '%H:%M:%S')} UTC: {sentence}", 0)

    with contextlib.ExitStack() as opened:
        opened.enter_context(contextlib.closing(line))
        if not options.no_spools:
            run_logs = partial(load_run_logs, settings=settings, secrets=secrets)
            sources.append(Source("The folder of the run logs", run_logs))
        if connection is not None:
            api = opened.enter_context(contextlib.closing(Api(connection, _api_options(options), pace)))
            tenant = api.tenant
            sources.append(Source("The API", api.read))
        if awx is not None:
            wanted = JobFilter(**{name: getattr(options, f"awx_{name}") for name in _FILTERS})
            client = opened.enter_context(contextlib.closing(AwxClient(replace(awx, retries=RETRIES))))
            # It does not wait for jobs whose events AWX is still processing: a later read imports them.
            jobs = partial(sync_awx, client=client, wanted=wanted, redactor=Redactor(secrets), now=time.time, wait=0.0)
            sources.append(Source("AWX", jobs, quick=False))
        if send is not None:
            messages = partial(_send_due, database=settings.database, send=send)
            sources.append(Source("Notifications", messages, quick=False))
        with _stopped_by_signals() as stop:
            follower = Follower(
                settings,
                sources,
                pace,
                stop,
                open_work=lambda store: store.has_open_work(tenant),
                tell=tell,
                progress=silent if options.quiet else line,
            )
            try:
                follower.run()
            except FollowError as error:
                line.close()
                return cli.say(error, 2)
            tell("Stopped; everything that was read is stored.")
    return 0


def _send_due(_store: Store, *, database: Path, send: Callable[..., NotifyReport], progress: Progress) -> ReadReport:
    """The source of the follower that sends notifications, after the other sources were read."""
    from console.collect.progress import ReadReport

    # The progress call reports that the follower is alive, and ends the read if it is to stop.
    report = send(database, before_each=partial(progress, 0, None, "notifications"))
    return ReadReport(problems=report.problems)


@contextlib.contextmanager
def _stopped_by_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and Ctrl-C set. A second Ctrl-C interrupts immediately, as in any command."""
    stop = threading.Event()

    def handle(number: int, _frame: object) -> None:
        stop.set()
        signal.signal(number, before[number])

    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {int(number): signal.signal(number, handle) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _awx(options: argparse.Namespace, settings: Settings) -> int:
    from ansible_collections.fleetops.agents.plugins.module_utils._client.redact import Redactor
    from console.collect.jobs.awx import JobFilter, sync_awx
    from console.collect.jobs.awx_client import AwxClient, load_awx

    _refuse_follow(options)
    connection = load_awx()
    wanted = JobFilter(options.project, options.template, options.label, options.days)
    redactor = Redactor([connection.api_key, os.environ.get("FLEETOPS_API_KEY")])
    with contextlib.closing(AwxClient(connection)) as client:
        return _import(options, settings, partial(sync_awx, client=client, wanted=wanted, redactor=redactor))


def _runner(options: argparse.Namespace, settings: Settings) -> int:
    from console.collect.jobs.runner import sync_runner

    _refuse_follow(options)
    return _import(options, settings, partial(sync_runner, folder=path_of(options.folder)))


def _refuse_follow(options: argparse.Namespace) -> None:
    if options.follow:
        raise SettingsError(
            f"sync {options.source} reads only once. To follow AWX, set FLEETOPS_AWX_URL and run sync --follow without"
            f" {options.source}."
        )


def _import(options: argparse.Namespace, settings: Settings, read: Callable[..., Any]) -> int:
    from console.record.write.store import open_store

    with cli.progress_line(options.quiet) as progress, open_store(settings.database) as store:
        report = read(store, now=time.time, progress=progress)
    return cli.put_report(settings.database, report)
