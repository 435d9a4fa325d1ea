# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The follower: reads the sources repeatedly until it is stopped. follow_pace.py decides when and how much is read.

Only one process follows a database. It opens the database for each read, records there that it is running, and stops
between two writes. A source that cannot be read is tried again after pauses that double; the others are not affected.
"""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from console.collect.follow_pace import Pace, pause
from console.collect.progress import Progress, ReadReport
from console.record.file_locks import FOLLOWER, has_follower, only_one
from console.record.opening import DatabaseProblem
from console.record.rows import Row
from console.record.write.store import Store, open_store
from console.settings.environment import Settings
from console.text.times import moment, rounded

# During a read, the follower reports every _BEAT_EVERY seconds that it is running, and promises the next report within
# _BEAT_WITHIN seconds: one call of the API may take several times its timeout.
_BEAT_EVERY, _BEAT_WITHIN = 10.0, 180.0
# How many messages are remembered so that they are not repeated.
_MAX_PRINTED = 1000


class FollowError(Exception):
    """The follower cannot start, or trying again is useless. The message is one sentence."""


def _already_followed(database: Path) -> FollowError:
    return FollowError(f"Another process already follows {database}. Stop it first, or specify another database.")


class _Stopped(Exception):
    """The follower was stopped during a read."""


@dataclass
class Source:
    """A source that is followed. ``name``: its name in messages, such as "The API". ``quick``: it is read more often
    while something is open. ``read`` is called with the open store and ``progress``, and raises FollowError if trying
    again is useless."""

    name: str
    read: Callable[..., ReadReport]
    quick: bool = True
    read_at: float | None = None
    failures: int = 0
    away_since: float | None = None


class Follower:
    """Reads the sources until ``stop`` is set. ``tell``: prints a message. ``progress``: that of the first read.

    ``open_work``: whether something is open in the database, which makes the reads more frequent.
    """

    def __init__(
        self,
        settings: Settings,
        sources: list[Source],
        pace: Pace,
        stop: threading.Event,
        *,
        open_work: Callable[[Store], bool],
        tell: Callable[[str], None],
        progress: Progress,
    ) -> None:
        self._settings, self._sources, self._pace, self._stop = settings, sources, pace, stop
        self._open_work, self._tell, self._progress = open_work, tell, progress
        self._is_first, self._is_open, self._printed = True, False, set[str]()
        self._database_failures = 0
        now = time.time()
        # Its row in the table ``follower``.
        self._beat: Row = {"host": platform.node() or "this machine", "pid": os.getpid(), "started_at": now}
        self._store: Store | None = None
        self._reported = 0.0

    def run(self) -> None:
        """Follow. Raises FollowError, and DatabaseProblem when the first read cannot open the database."""
        database = self._settings.database
        # Before opening, because opening migrates: an older console that follows it could no longer write to it.
        if has_follower(database):
            raise _already_followed(database)
        # Opening creates the folder, which also contains the lock file.
        open_store(database).close()
        with ExitStack() as held:
            try:
                is_alone = held.enter_context(only_one(database, FOLLOWER))
            except DatabaseProblem as problem:
                raise FollowError(str(problem)) from problem
            if not is_alone:
                raise _already_followed(database)
            self._follow()

    def _follow(self) -> None:
        try:
            self._read_due(first=True)
            is_away = any(source.away_since is not None for source in self._sources)
            read = "Not everything could be read yet." if is_away else "Everything was read once."
            self._tell(
                f"{read} Reading continues every {self._pace.interval:g} s while something is open, and every"
                f" {self._pace.idle_interval:g} s otherwise. Ctrl-C or SIGTERM stops it."
            )
            self._is_first = False
            while not self._stop.is_set():
                self._wait(self._seconds_left())
                if not self._stop.is_set():
                    self._read_due()
        except _Stopped:
            pass
        finally:
            self._end()

    def _read_due(self, *, first: bool = False) -> None:
        try:
            with open_store(self._settings.database) as store:
                self._store = store
                self._report(_BEAT_WITHIN)
                for source in self._sources:
                    if self._due_in(source) <= 0:
                        self._read(source, store)
                        self._is_open = self._open_work(store)
                self._report(self._seconds_left())
            if self._database_failures:
                self._tell("The database can be written to again.")
            self._database_failures = 0
        except DatabaseProblem as problem:
            if first:
                raise
            self._database_failures += 1
            self._tell(f"{problem} {self._next_try(self._database_failures)}")
        finally:
            self._store = None

    def _read(self, source: Source, store: Store) -> None:
        report = source.read(store, progress=self._on_progress)
        source.read_at = time.monotonic()
        if report.away:
            source.failures += 1
            source.away_since = source.away_since or time.time()
            self._tell(f"{report.away} {self._next_try(source.failures)}")
        elif source.away_since is not None:
            away = rounded(time.time() - source.away_since)
            self._tell(f"{source.name} can be read again after {away}.")
            source.failures, source.away_since = 0, None
        # If the source cannot be read at all, this is the problem, and is already reported.
        problems = [] if report.away else report.problems
        for sentence in [*problems, *(f"note: {note}" for note in report.notes)]:
            # A message that stays true is not repeated.
            if sentence not in self._printed:
                self._printed = {sentence, *self._printed} if len(self._printed) < _MAX_PRINTED else {sentence}
                self._tell(sentence)

    def _next_try(self, failures: int) -> str:
        seconds = pause(self._pace, is_open=self._is_open, failures=failures)
        return f"The next attempt is in {rounded(seconds)}, at {moment(time.time() + seconds, '%H:%M:%S')} UTC."

    def _on_progress(self, done: int, total: int | None, what: str) -> None:
        if self._stop.is_set():
            raise _Stopped
        if self._is_first:
            self._progress(done, total, what)
        if time.monotonic() - self._reported > _BEAT_EVERY:
            self._report(_BEAT_WITHIN)

    def _due_in(self, source: Source) -> float:
        if source.read_at is None:
            return 0.0
        seconds = pause(self._pace, is_open=self._is_open and source.quick, failures=source.failures)
        return source.read_at + seconds - time.monotonic()

    def _seconds_left(self) -> float:
        if self._database_failures:
            return pause(self._pace, is_open=self._is_open, failures=self._database_failures)
        return max(0.0, min(self._due_in(source) for source in self._sources))

    def _wait(self, seconds: float) -> None:
        """Wait, but only until a new run log appears: a playbook has started."""
        until, before = time.monotonic() + seconds, _changed_at(self._settings.run_log_dir)
        while (left := until - time.monotonic()) > 0 and not self._stop.wait(min(left, self._pace.interval)):
            if _changed_at(self._settings.run_log_dir) != before:
                self._is_open = True
                return

    def _report(self, seconds: float) -> None:
        """Record that the follower is running and will report again within this many seconds."""
        now = time.time()
        away = [source for source in self._sources if source.away_since is not None]
        self._beat |= {
            "beat_at": now,
            "due_at": now + seconds,
            "ended_at": None,
            "trouble": away[0].name if away else None,
            "trouble_at": away[0].away_since if away else None,
        }
        self._reported = time.monotonic()
        if self._store is not None:
            self._store.put_beat(self._beat)

    def _end(self) -> None:
        try:
            with open_store(self._settings.database) as store:
                store.put_beat({**self._beat, "beat_at": time.time(), "ended_at": time.time()})
        except DatabaseProblem as problem:
            self._tell(f"The end of the follower could not be recorded: {problem}")


def _changed_at(folder: Path) -> int:
    """When an entry of a folder was last added or removed, 0 if unknown."""
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return 0
