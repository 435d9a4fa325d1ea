# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Loads run logs into the store: complete runs, and the new lines of runs in progress.

A log is read from where the last sync stopped. Its last line is left for later as long as it has no line end. A line
that is not an event, or is longer than MAX_LINE, is skipped, counted and reported. A run without an end is ``running``
while its writer holds the lock on the file, and ``lost`` once the lock is free or the file is gone.

Other users may be able to put files into the folder, so only the user's own regular files are loaded, and no links.
"""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from ansible_collections.fleetops.agents.plugins.module_utils._client.redact import Redactor
from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import parse_time
from ansible_collections.fleetops.agents.plugins.plugin_utils._run_log.log_file import NAME, open_to_others
from console.collect.progress import Progress, ReadReport, silent
from console.collect.run_events import EventError, RunReader
from console.record.file_locks import is_locked
from console.record.rows import Cursor
from console.record.write import runs
from console.record.write.store import Store
from console.text.counts import first_of
from console.text.times import ahead_by, duration

# As stored in ingest_cursors.
SOURCE = "spool"
# The scope of the folder's own cursor, which records when it could be read ("data as of").
FOLDER = ""
# Events in one transaction, and their bytes, at most: so other writers wait for at most about half a second.
BATCH = 5000
BATCH_BYTES = 16 << 20
# Longer than the recap of 20,000 hosts with long names.
MAX_LINE = 8 << 20
# The status of a run without an end: if its log is not locked, and if it is.
_UNENDED = ("lost", "running")
# How many of the files that are not loaded are listed.
_MAX_NAMED = 5


@dataclass
class RunLogReport(ReadReport):
    """What one pass over the folder did."""

    runs: int = 0
    events: int = 0
    running: int = 0
    lost: int = 0
    removed: int = 0


def sync_run_logs(
    store: Store,
    folder: Path,
    *,
    now: Callable[[], float],
    redactor: Redactor | None = None,
    remove_loaded: bool = False,
    folder_may_be_missing: bool = False,
    progress: Progress = silent,
) -> RunLogReport:
    """Load new lines from ``folder``. A log that cannot be read is reported and does not stop the others."""
    # Before the files are listed, so that a log that another sync loads meanwhile does not count as gone.
    report, positions, recorded = RunLogReport(), store.positions(SOURCE), runs.of_logs(store)
    statuses = {run["run_id"]: run["status"] for run in recorded}
    try:
        names, left_out = _found(folder)
        open_folder = open_to_others(folder)
    except OSError as error:
        if isinstance(error, FileNotFoundError) and folder_may_be_missing:
            report.notes.append(
                f"The run log folder {folder} does not exist yet: no playbook run has been logged there."
            )
            return report
        why = f"cannot be read: {error.strerror or error}."
        if isinstance(error, FileNotFoundError):
            why = "does not exist; check FLEETOPS_RUN_LOG_DIR or --spool."
        report.problems.append(f"The run log folder {folder} {why}")
        store.note_read(SOURCE, FOLDER, now(), report.problems)
        return report
    if open_folder:
        report.notes.append(f"{open_folder[0].upper()}{open_folder[1:]}.")
    there, unnamed = {*names, *left_out}, []
    step = _Step(progress, names, folder, positions)
    for name in names:
        match = NAME.fullmatch(name)
        if match is None:
            unnamed.append(_shown(name))
            continue
        try:
            run_log = _RunLog(store, folder / name, match["run_id"], parse_time(match["at"]), redactor, now())
            run_log.load(positions.get(name), statuses.get(match["run_id"]), report, step)
            if remove_loaded and run_log.is_done():
                (folder / name).unlink(missing_ok=True)
                report.removed += 1
        except _NotLoaded as reason:
            left_out[name] = str(reason)
        except FileNotFoundError:
            # It was removed, for example by another sync that has stored it.
            there.remove(name)
        except OSError as error:
            report.problems.append(f"The run log {folder / name} cannot be read: {error.strerror or error}.")
    step.end()
    gone = {run["source_ref"] for run in recorded if run["status"] == "running"} - there
    folders = {name: cursor.state.get("folder") for name in gone if (cursor := store.cursor(SOURCE, name))}
    here = [name for name, of in folders.items() if of == os.path.realpath(folder)]
    report.lost += store.lose_runs("callback", math.inf, here)
    if unnamed:
        report.notes.append(f"Not named like a run log, and ignored: {first_of(unnamed, _MAX_NAMED)}.")
    if left_out:
        named = first_of([f"{_shown(name)} ({why})" for name, why in left_out.items()], _MAX_NAMED)
        report.notes.append(
            f"Not loaded from {folder}: {named}. Only regular files that belong to the user who runs the console"
            " are loaded."
        )
    store.note_read(SOURCE, FOLDER, now(), report.problems)
    return report


class _NotLoaded(Exception):
    """A file that is not loaded, whatever its content; the message says why."""


def _found(folder: Path) -> tuple[list[str], dict[str, str]]:
    """The names of the run logs in a folder, and the files that are left out, with the reasons. Raises OSError."""
    names, left_out = [], {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.endswith(".jsonl") or entry.is_dir(follow_symlinks=False):
                continue
            with suppress(FileNotFoundError):
                if reason := _foreign(entry.stat(follow_symlinks=False)):
                    left_out[entry.name] = reason
                else:
                    names.append(entry.name)
    return sorted(names), dict(sorted(left_out.items()))


def _foreign(found: os.stat_result) -> str | None:
    """Why a file is not loaded, None if it is."""
    if stat.S_ISLNK(found.st_mode):
        return "a link"
    if not stat.S_ISREG(found.st_mode):
        return "not a regular file"
    return None if found.st_uid == os.geteuid() else f"belongs to user {found.st_uid}"


def _open(path: Path) -> BinaryIO:
    """Open a run log to read. Raises OSError, and _NotLoaded if it has been replaced by a file that is not loaded."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    file = os.fdopen(fd, "rb")
    if reason := _foreign(os.fstat(fd)):
        file.close()
        raise _NotLoaded(reason)
    return file


def _shown(name: str) -> str:
    return name if name.isprintable() else repr(name)


class _Step:
    """Reports how many of the folder's unread bytes have been read, in KiB."""

    def __init__(self, progress: Progress, names: list[str], folder: Path, positions: Mapping[str, int]) -> None:
        self._progress, self._done, self._total = progress, 0, 0
        for name in names:
            with suppress(OSError):
                self._total += max(0, (folder / name).stat().st_size - positions.get(name, 0))
        self.add(0)

    def add(self, read: int) -> None:
        self._done += read
        # The log of a run in progress may have grown, so only end() reports the end.
        self._report(min(self._done // 1024, max(0, self._total // 1024 - 1)))

    def end(self) -> None:
        self._report(self._total // 1024)

    def _report(self, done: int) -> None:
        self._progress(done, self._total // 1024, "run logs, KiB")


class _RunLog:
    def __init__(
        self, store: Store, path: Path, run_id: str, named_at: float | None, redactor: Redactor | None, now: float
    ) -> None:
        self._store, self._path, self._run_id = store, path, run_id
        self._named_at, self._redactor, self._now = named_at, redactor, now
        self._cursor: Cursor | None = None
        self._events, self._torn = 0, False

    def load(self, position: int | None, status: str | None, report: RunLogReport, step: _Step) -> None:
        """``position``: up to which byte the log is stored. ``status``: the stored status of its run."""
        # The state of a cursor is large, so it is only read if there is something new.
        is_stored = position == self._path.stat().st_size
        if is_stored and status not in (*_UNENDED, None):
            return
        with _open(self._path) as file:
            # The lock is checked first: if the run ends in between, its end is then already in the file.
            alive = is_locked(file)
            if is_stored and status == _UNENDED[alive]:
                report.running, report.lost = report.running + alive, report.lost + (not alive)
                return
            before = self._cursor = self._store.cursor(SOURCE, self._path.name)
            while self._load_batch(file, alive, step):
                pass
        self._add_to(report, before)

    def _add_to(self, report: RunLogReport, before: Cursor | None) -> None:
        cursor = self._cursor
        if cursor is None:
            return
        status = cursor.state["run"]["status"]
        report.events += self._events
        report.runs += int(self._events > 0)
        report.running += int(status == "running")
        report.lost += int(status == "lost")
        if before is None and (ahead := cursor.state["ahead"]):
            report.notes.append(
                f"{self._path.name}: the clock of the computer that wrote it was {duration(ahead)} ahead; the times of"
                " this run were corrected by this amount."
            )
        new_bad = cursor.bad_lines - (before.bad_lines if before else 0)
        if new_bad > 0:
            report.notes.append(f"{self._path.name}: {new_bad} unreadable line(s) skipped. {cursor.last_error}")

    def is_done(self) -> bool:
        """Whether the run has ended and every byte of its log is stored; False if it has unreadable lines."""
        cursor = self._cursor or self._store.cursor(SOURCE, self._path.name)
        if cursor is None or self._torn or cursor.bad_lines or not cursor.state.get("ended"):
            return False
        with _open(self._path) as file:
            return cursor.position == os.fstat(file.fileno()).st_size and not is_locked(file)

    def _load_batch(self, file: BinaryIO, alive: bool, step: _Step) -> bool:
        """Store up to BATCH lines. Returns whether there may be more."""
        after = self._cursor.position if self._cursor else None
        # A file that is shorter now was replaced, and is read from its beginning. Its rows are keyed by counter, so
        # nothing is stored twice.
        cursor = self._cursor if (after or 0) <= os.fstat(file.fileno()).st_size else None
        next_cursor = replace(cursor or Cursor(SOURCE, self._path.name))
        reader = RunReader(
            self._run_id,
            source="callback",
            source_ref=self._path.name,
            state=cursor.state if cursor else None,
            redactor=self._redactor,
            ahead=0.0 if cursor else self._ahead(file),
        )
        run, began = reader.run, next_cursor.position or 0
        known = run["events"]
        next_cursor.position, more = self._read_lines(file, began, reader, next_cursor)
        if run["started_at"] is None:
            run["started_at"] = reader.corrected(self._named_at)
        if not reader.ended:
            run["status"] = _UNENDED[alive]
        reader.state["folder"] = os.path.realpath(self._path.parent)
        next_cursor.state = reader.state
        if not self._store.put_run(reader.take(), next_cursor, after=after):
            # Another sync has stored these lines: continue where it stopped.
            self._cursor = self._store.cursor(SOURCE, self._path.name)
            return True
        self._cursor = next_cursor
        self._events += run["events"] - known
        step.add(next_cursor.position - began)
        return more

    def _read_lines(self, file: BinaryIO, began: int, reader: RunReader, cursor: Cursor) -> tuple[int, bool]:
        """Pass up to BATCH lines from byte ``began`` on to the reader, and count unreadable ones in the cursor.

        Returns up to which byte the file was read, and whether there may be more lines.
        """
        file.seek(began)
        position, lines, self._torn = began, 0, False
        while lines < BATCH and position - began < BATCH_BYTES:
            line = file.readline(MAX_LINE)
            ends = line.endswith(b"\n")
            continues = bool(reader.state.get("in_long_line"))
            if continues or (not ends and len(line) == MAX_LINE):
                if not continues:
                    cursor.bad_lines += 1
                    cursor.last_error = f"The line at byte {position} is longer than {MAX_LINE >> 20} MiB."
                # A later sync may read the rest of it.
                reader.state["in_long_line"] = self._torn = not ends
            elif not ends:
                self._torn = bool(line)
                return position, False
            else:
                lines += 1
                problem = _feed(reader, line)
                if problem is not None and line.strip():
                    cursor.bad_lines += 1
                    cursor.last_error = f"The line at byte {position} is not an event: {problem}."
            position += len(line)
            if not line:
                return position, False
        return position, True

    def _ahead(self, file: BinaryIO) -> float:
        """By how many seconds the writer's clock was ahead: the newest event cannot be in the future."""
        file.seek(max(0, os.fstat(file.fileno()).st_size - MAX_LINE))
        newest = self._named_at
        for line in reversed(file.read(MAX_LINE).splitlines()):
            with suppress(ValueError, RecursionError):
                event = json.loads(line)
                if isinstance(event, dict) and (created := parse_time(event.get("created"))) is not None:
                    newest = created
                    break
        return ahead_by(newest, self._now) or 0.0


def _feed(reader: RunReader, line: bytes) -> str | None:
    """Pass one line to the reader. Returns why it is not an event, None if it is one."""
    try:
        reader.feed(json.loads(line))
    except EventError as error:
        return str(error)
    except (ValueError, RecursionError):
        return "it is not JSON"
    return None
