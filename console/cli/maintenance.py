# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that maintain the database: prune, backup, restore, migrate and retire."""

from __future__ import annotations

import argparse
import time
from contextlib import suppress
from typing import Any

from ansible_collections.fleetops.agents.plugins.module_utils._client.settings import base_url
from console.cli.options import command, days, flag, format_option, not_blank, option, progress_line, put, say
from console.record.read.record_health import prunable
from console.record.retention import Retention, removals
from console.record.write.maintenance import Maintenance, back_up, open_maintenance
from console.record.write.restore import restore
from console.settings.environment import Settings, SettingsError, path_of
from console.text import times
from console.text.counts import counted
from console.text.listing import listing, records


def register(commands: Any) -> None:
    defaults = Retention()
    prune = command(
        commands,
        "prune",
        _prune,
        "delete details that are older than their retention period",
        description="Deletes task results, raw audit events, health checks, actions and former versions that are older"
        " than their retention period, in small transactions, so that other programs can use the database at the same"
        " time. Runs with their recaps, plans, gates and reports, rollouts with their targets, and the daily counts of"
        " the audit are kept. For each instance, the newest health check and versions, and the newest 100 actions and"
        " audit events, are kept too. Ages are measured from now, or from the last read of the API if that is earlier,"
        " so that nothing is deleted too early if the clock is ahead.",
    )
    mode = prune.add_mutually_exclusive_group(required=True)
    flag(mode, "--dry-run", "only count the rows that would be deleted")
    flag(mode, "--yes", "delete the rows")
    for name, default, what in (
        ("--results", defaults.results, "task results of runs without failures"),
        ("--failed-results", defaults.failed_results, "task results of all other runs that have ended"),
        ("--audit", defaults.audit, "raw audit events and the API's own totals"),
        ("--health", defaults.health, "health checks"),
        ("--actions", defaults.actions, "actions of instances"),
        ("--versions", defaults.versions, "former versions of instances"),
    ):
        option(prune, name, days, default, "DAYS", f"days to keep {what}, or 'never' to delete none")
    format_option(prune)
    flag(prune, "--quiet", "show no progress")

    backup = command(
        commands,
        "backup",
        _backup,
        "copy the database to a new file",
        description="Copies the database in one consistent state while others use it (VACUUM INTO), and checks the"
        " copy. It is one file, which any console of this version can show with --db. It is marked as a copy: a sync"
        " into it is refused until migrate --adopt turns it into a database that syncs write to.",
    )
    backup.add_argument("file", metavar="FILE", help="a new file; an existing one is never overwritten")

    restore = command(
        commands,
        "restore",
        _restore,
        "replace the database with a backup",
        description="Checks a backup, migrates it to this version and replaces the database with it. The previous"
        " database is kept beside it under another name, with its -wal and -shm files, which must not be used with"
        " the new one. The command is refused while a sync or another program has the database open. The restored"
        " database is not a copy for review: syncs write to it.",
    )
    restore.add_argument("file", metavar="FILE", help="the backup; it is not changed")

    migrate = command(commands, "migrate", _migrate, "migrate an older database to this version")
    flag(migrate, "--adopt", "turn a copy for review into a database that syncs write to")

    retire = command(
        commands,
        "retire",
        _retire,
        "record that a tenant's API, an AWX or a folder of ansible-runner is no longer read",
        description="Records that the API of a tenant is no longer read. Its data is kept and shown as of the last"
        " sync, but is no longer reported as stale, open or stuck. A later sync of this API undoes this. If only the"
        " address of the API has changed, --moved-to joins its data with that of the new address, which cannot be"
        " undone. For an AWX or a folder of ansible-runner, also for a mistyped one, the sync errors are no longer"
        " counted.",
    )
    retire.add_argument("source", metavar="URL", help="address of the tenant's API or of AWX, or path of the folder")
    new = "the new address of this API, after its first sync; all data of URL becomes that of this tenant"
    retire.add_argument("--moved-to", type=not_blank, metavar="URL", help=new)


def _prune(options: argparse.Namespace, settings: Settings) -> int:
    chosen = {name: getattr(options, name) for name in Retention.__dataclass_fields__}
    retention, now = Retention(**chosen), time.time()
    rows = records(prunable(settings.database, retention, now))
    if not options.dry_run:
        with progress_line(options.quiet) as progress, open_maintenance(settings.database) as database:
            deleted = database.prune(removals(retention, now), now, progress, [int(row["rows"]) for row in rows])
        rows = [{**row, "rows": deleted[row["what"]]} for row in rows]
    put(listing(rows, ("what", "table", "before_at", "rows"), options.format))
    if options.dry_run:
        say(f"{counted(sum(row['rows'] for row in rows), 'row')} would be deleted; nothing was deleted.", 0)
    return 0


def _backup(options: argparse.Namespace, settings: Settings) -> int:
    target = path_of(options.file)
    note = back_up(settings.database, target, time.time())
    put(f"{target}: {times.size(target.stat().st_size)}, a copy of {settings.database}.\n")
    return say(f"note: {note}", 0) if note else 0


def _restore(options: argparse.Namespace, settings: Settings) -> int:
    aside = restore(path_of(options.file), settings.database, time.time())
    put(f"{settings.database.resolve()} is restored from {options.file}.\n")
    return say(f"note: the previous database is kept as {', '.join(map(str, aside))}.", 0) if aside else 0


def _migrate(options: argparse.Namespace, settings: Settings) -> int:
    with open_maintenance(settings.database) as database:
        adopted = options.adopt and database.adopt(time.time())
    put(f"{settings.database} is up to date{' and no longer a copy for review' if adopted else ''}.\n")
    if options.adopt and not adopted:
        return say("note: it was not a copy for review.", 0)
    return 0


def _move(database: Maintenance, source: str, tenants: set[str], moved_to: str) -> int:
    """Join the tenant ``source`` with that of its new address."""
    try:
        new = base_url(moved_to)
    except ValueError as error:
        raise SettingsError(f"--moved-to {moved_to} is no address of an API: {error}") from None
    if not tenants or new in tenants or new not in database.tenants():
        why = "is not the address of an API that was read at another address"
        raise SettingsError(
            f"{moved_to} {why} than {source}. Run sync with the new address first. Nothing was changed."
        )
    (old,) = tenants
    if not database.move(old, new, time.time()):
        raise SettingsError(f"{source} and {moved_to} have no rollout in common, so they are not the same API. Nothing"
                            " was changed.")  # fmt: skip
    put(f"{source} is retired: all of its data is now that of {new}.\n")
    return 0


def _retire(options: argparse.Namespace, settings: Settings) -> int:
    # Imported here: only AWX and the API need requests, which takes long to load.
    from console.collect.jobs.awx_client import awx_origin

    source = options.source.rstrip("/")
    given = {source, str(path_of(source).resolve())}
    with suppress(ValueError):  # It is the path of a folder.
        given |= {base_url(source), awx_origin(source)}
    with open_maintenance(settings.database) as database:
        known, imported = database.tenants(), database.import_sources()
        tenants, imports = given.intersection(known), given.intersection(imported)
        if not tenants and not imports:
            named = [*known, *imported]
            hint = f"It contains {' and '.join(named)}." if named else "It contains no tenants: no API was ever read."
            raise SettingsError(f"{source} is not a tenant of {settings.database}. {hint}")
        if options.moved_to is not None:
            return _move(database, source, tenants, options.moved_to)
        new = [database.retire(tenant, time.time()) for tenant in tenants]
        new += [database.retire_import(each, time.time()) for each in imports]
    put(f"{source} is retired: its data is kept, and no further sync is expected.\n")
    return 0 if any(new) else say("note: it was already retired, or had no errors.", 0)
