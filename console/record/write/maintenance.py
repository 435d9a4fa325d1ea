# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Maintenance of the database: removing rows after their retention time, and copying it while it is in use."""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from console.record import opening
from console.record.connection import Connection, first_value
from console.record.opening import DatabaseProblem
from console.record.private_files import beside, database_files, rename_to_new
from console.record.retention import Removal, retired_at
from console.record.rows import to_json
from console.record.write import addresses
from console.record.write.tables import Tables
from console.text.json_values import parsed

# Rows that are removed, or pages that are released, in one transaction, so that a sync waits for a second at most.
SLICE = 5000

Progress = Callable[[int, int | None, str], None]


def open_maintenance(path: Path) -> Maintenance:
    """Open an existing database for maintenance; an older one is migrated. Raises DatabaseProblem."""
    return Maintenance(*opening.open_to_write(path, create=False, into_copy=True))


class Maintenance(Tables):
    """The open database. Pruning commits SLICE rows at a time; the next pruning finishes an interrupted one."""

    def prune(
        self, removals: Sequence[Removal], now: float, progress: Progress, totals: Sequence[int]
    ) -> dict[str, int]:
        """Remove rows; returns how many, by removal. ``totals``: how many are expected."""
        removed = {}
        for removal, total in zip(removals, totals, strict=True):
            done, table, names = 0, removal.table, ", ".join(self._key(removal.table))
            found = f"SELECT {names} FROM {table} t WHERE {removal.where.format(':')} LIMIT {SLICE}"  # noqa: S608
            for scope in self.rows(removal.scopes, removal.params):
                if removal.floors:
                    self._raise_floor(scope)
                count = SLICE
                while count == SLICE:
                    with self.transaction():
                        sql = f"DELETE FROM {table} WHERE ({names}) IN ({found})"  # noqa: S608 - no user input
                        count = self.conn.execute(sql, scope).rowcount
                    done += count
                    if count:
                        progress(done, max(done, total), removal.what)
            removed[removal.what] = done
        if any(removed.values()):
            self._release_pages()
            self.record("prune", now, removed)
        return removed

    def _raise_floor(self, scope: dict[str, object]) -> None:
        # Before the first row is removed, because days before the floor are no longer counted from raw events. An
        # earlier pruning may have kept fewer days.
        with self.transaction():
            self.conn.execute(
                "INSERT INTO audit_floors (tenant, instance_id, floor) VALUES (:tenant, :instance_id, :edge)"
                " ON CONFLICT (tenant, instance_id) DO UPDATE SET floor = max(floor, excluded.floor)",
                scope,
            )

    def _release_pages(self) -> None:
        # Returns free pages to the file system. A reader may prevent this; the next pruning tries again.
        with suppress(sqlite3.Error):
            free, before = first_value(self.conn, "PRAGMA freelist_count"), None
            while free and free != before:
                # With execute(), Python ends this statement after the first page.
                self.conn.executescript(f"PRAGMA incremental_vacuum({SLICE})")
                free, before = first_value(self.conn, "PRAGMA freelist_count"), free
            self.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def record(self, kind: str, at: float, detail: Mapping[str, object]) -> None:
        """Record what was done; schema/console.py describes the kinds. ``copy`` makes the file a copy for review."""
        with self.transaction():
            self.upsert("upkeep", [{"kind": kind, "at": at, "detail_json": to_json(detail)}])

    def adopt(self, now: float) -> bool:
        """Turn a copy for review into an independent database; returns False if it was not a copy."""
        with self.transaction():
            mark = self.conn.execute("SELECT at, detail_json FROM upkeep WHERE kind = 'copy'").fetchone()
            if mark is None:
                return False
            self.conn.execute("DELETE FROM upkeep WHERE kind = 'copy'")
            # This is the follower of the database that was copied.
            self.conn.execute("DELETE FROM follower")
            self.record("adopt", now, {"copied_at": mark[0], **parsed(mark[1])})
            return True

    def tenants(self) -> list[str]:
        """The addresses of the APIs that were ever read."""
        return [row["tenant"] for row in self.rows("SELECT tenant FROM tenants ORDER BY tenant", {})]

    def retire(self, tenant: str, now: float) -> bool:
        """Record that a tenant's API is no longer read; returns False if this is known and no sync has read it since.

        Its data is kept. The errors of its syncs are removed, because no later sync would remove them.
        """
        with self.transaction():
            if first_value(self.conn, _RETIRED, {"t": tenant}):
                return False
            self._forget_errors(tenant)
            self.record("retire", now, {"tenant": tenant})
        return True

    def move(self, old: str, new: str, now: float) -> bool:
        """Make all data of the tenant ``old`` that of ``new``, because its API is now read at that address.

        Returns False, and changes nothing, if they have no rollout in common, so that they cannot be the same API.
        """
        with self.transaction():
            if not addresses.have_common_rollouts(self, old, new):
                return False
            addresses.join(self, old, new)
            self.record("retire", now, {"tenant": old, "new": new})
        return True

    def import_sources(self) -> list[str]:
        """The addresses of AWX and the folders of ansible-runner that were ever given to a sync."""
        return [row["scope"] for row in self.rows(_IMPORTED, {})]

    def retire_import(self, source: str, now: float) -> bool:
        """Remove the sync errors of an AWX or a folder that is no longer read; returns False if there are none.

        The jobs that were imported from there are kept.
        """
        with self.transaction():
            if not self._forget_errors(source):
                return False
            self.record("retire", now, {"import": source})
        return True

    def _forget_errors(self, source: str) -> bool:
        return self.conn.execute(_FORGET_ERRORS, {"t": source}).rowcount > 0


_READ_AT = "(SELECT last_ok_at FROM ingest_cursors WHERE source = 'api' AND scope = :t)"
_RETIRED = f"SELECT {retired_at(':t', _READ_AT)} IS NOT NULL"

# For an API, an AWX or a folder: its own cursor, those of its parts, and those of its jobs.
_FORGET_ERRORS = """
UPDATE ingest_cursors SET last_error = NULL WHERE last_error IS NOT NULL
AND (scope = :t OR substr(scope, 1, length(:t) + 1) = :t || '|'
     OR scope IN (SELECT job FROM run_jobs WHERE origin = :t))
"""

# Only addresses and folders; cursors of single jobs have other scopes.
_IMPORTED = """
SELECT DISTINCT CASE instr(scope, '|') WHEN 0 THEN scope ELSE substr(scope, 1, instr(scope, '|') - 1) END AS scope
FROM ingest_cursors WHERE (source = 'awx' AND scope LIKE '%://%') OR (source = 'runner' AND scope LIKE '/%')
ORDER BY 1
"""


def back_up(path: Path, target: Path, now: float) -> str:
    """Copy the database at ``path``, in a consistent state even while in use, to the new file ``target`` (0600).

    It is marked as a copy and checked before it gets its name. The database itself is not migrated, so an older one can
    be copied first; the time of the copy is recorded where that is possible. Returns why it was not recorded, '' if it
    was. Raises DatabaseProblem, and leaves nothing at ``target`` then.
    """
    with opening.as_database_problem(path, opening.BUSY_TIMEOUT, "read"):
        if not path.exists():
            raise opening.no_database(path)
        opening.refuse_other_files(path)
    if target.resolve() in beside(path.resolve()):
        raise DatabaseProblem(f"{target} is a name that SQLite uses for its own files; specify another file.")
    if os.path.lexists(target):
        raise DatabaseProblem(f"{target} already exists and is not overwritten; specify a new file.")
    try:
        with copied(path, beside=target) as made:
            _mark(path, made, now)
            as_on_disk(made)
            # Renamed last: a file of this name is always a complete backup.
            rename_to_new(made, target)
    except FileExistsError as error:
        raise DatabaseProblem(f"{target} already exists and is not overwritten; specify a new file.") from error
    except OSError as error:
        raise DatabaseProblem(f"The backup {target} cannot be created: {error.strerror or error}.") from error
    return _note(path, target, now)


@contextmanager
def copied(path: Path, beside: Path) -> Iterator[Path]:
    """A consistent copy of the database at ``path`` as a new, checked file (0600) in the folder of ``beside``.

    The file is removed when the block ends, unless it was renamed. Raises DatabaseProblem, and OSError of the new file.
    """
    # Named before it is created, so that a signal at any moment leaves no file.
    made = beside.with_name(f".{beside.name}.{secrets.token_hex(8)}")
    try:
        os.close(os.open(made, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        _copy(path, made)
        yield made
    except sqlite3.Error as error:
        raise DatabaseProblem(f"The database {path} could not be copied: {error}.") from error
    finally:
        for file in database_files(made):
            file.unlink(missing_ok=True)


def _copy(path: Path, made: Path) -> None:
    with closing(opening.connect_to_read(path, opening.BUSY_TIMEOUT)) as source:
        if not opening.is_of_the_console(source):
            raise DatabaseProblem(f"{path} is not the console's database; specify its file with --db.")
        # VACUUM INTO accepts an empty file as its target and leaves no write-ahead log beside it.
        # As bytes, because the name may not be valid UTF-8.
        source.execute("VACUUM INTO CAST(? AS TEXT)", (os.fsencode(made),))
    with closing(opening.connect_to_read(made)) as copy:
        found = first_value(copy, "PRAGMA quick_check(1)")
    if found != "ok":
        raise DatabaseProblem(f"The copy of {path} did not pass its check ({found}); the database may be damaged.")


def as_on_disk(file: Path) -> None:
    """Return once the file's contents are on the disk."""
    with file.open("rb") as stream:
        os.fsync(stream.fileno())


def _mark(path: Path, target: Path, now: float) -> None:
    """Mark a copy with its time and source; a copy of a copy keeps the mark of the first."""
    with closing(sqlite3.connect(target, isolation_level=None, factory=Connection)) as conn:
        # Databases of the first versions do not have this table.
        has_table = first_value(conn, "SELECT 1 FROM sqlite_master WHERE name = 'upkeep'")
        if has_table and opening.copied_at(conn) is None:
            Maintenance(conn, target).record("copy", now, {"file": str(path.absolute())})


def _note(path: Path, target: Path, now: float) -> str:
    try:
        if not opening.is_current(path):
            return "The time of this backup is not recorded: the database is from an older or newer console."
        with open_maintenance(path) as database:
            database.record("backup", now, {"file": str(target.absolute()), "bytes": target.stat().st_size})
    except (DatabaseProblem, sqlite3.Error) as error:
        return f"The time of this backup is not recorded. {error}"
    return ""
