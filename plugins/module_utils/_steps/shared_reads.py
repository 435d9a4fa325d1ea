# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The update policy (E9) and the newest rollouts (E3), read by one task of this machine for all others.

The answers are stored in a file beside the admission lock, for this user only. A task that finds them too old reads
them again while the others wait, so the number of calls does not grow with the number of workers.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from .._client.client import ROLLOUT_TIMES, ROLLOUTS_PAGE, FleetClient
from .._client.errors import ApiError
from .._client.paging import NEWEST_FIRST, order_of
from .._rules.answers import Record, rollout_is_terminal
from .admission_locks import AdmissionError, lock_folder, name_of_server
from .admission_queue import try_lock
from .state_folder import replace_text

# For how many seconds an answer is recent enough for an admission.
FRESH_FOR = 1.0
# Seconds after which the list is read beyond its first page, since a retry may have reopened an old rollout.
_WHOLE_EVERY = 60.0
# Seconds between two attempts to lock out other tasks.
_LOOKS_EVERY = 0.005
_NOTHING: list[Record] = []


class SharedReads:
    """The latest answers to any task of this machine with the same address, key and headers.

    ``clock``: seconds by a clock that is the same for all processes of the machine. With a clock other than
    time.monotonic, or without a folder for the file, nothing is shared, and each read is a call. Reads raise ApiError.
    """

    def __init__(self, client: FleetClient, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._client, self._clock = client, clock
        self._seen: tuple[int, Record] | None = None
        settings = client.transport.settings
        self._by = settings.identity
        self._file: Path | None = None
        if clock is time.monotonic:
            with contextlib.suppress(AdmissionError):
                self._file = lock_folder() / f"{name_of_server(settings.api_url)}.seen"

    def policy(self, max_age: float = FRESH_FOR) -> tuple[Record, float | None]:
        """E9, at most ``max_age`` seconds old, and the current time by the server's clock (epoch seconds) or None."""
        kept = self._read("policy", max_age, lambda _former: {"policy": self._client.get_fleet_update_policy()})
        said_at = kept.get("server_time")
        return kept["policy"], None if said_at is None else said_at + self._clock() - kept["at"]

    def rollouts(self, max_age: float = FRESH_FOR) -> list[Record]:
        """E3, at most ``max_age`` seconds old: the newest page of rollouts, and all others that have not ended."""
        rows: list[Record] = self._read("rollouts", max_age, self._newest_rollouts)["rows"]
        return rows

    def last_rollouts(self) -> list[Record]:
        """The rollouts as any task read them last, however old, without a call. The same object if unchanged."""
        kept = self._content().get("rollouts")
        return kept["rows"] if kept else _NOTHING

    def _newest_rollouts(self, former: Record | None) -> Record:
        now = self._clock()
        if former is not None and 0 <= now - former["whole_at"] < _WHOLE_EVERY:
            rows = self._client.list_fleet_rollouts(limit=ROLLOUTS_PAGE)
            open_before = {row.get("id") for row in former["rows"] if not rollout_is_terminal(row)}
            in_order = order_of(rows, ROLLOUT_TIMES) == NEWEST_FIRST
            if in_order and open_before <= {row.get("id") for row in rows}:
                return {"rows": rows, "whole_at": former["whole_at"]}
        rows = self._client.recent_fleet_rollouts()
        kept = [row for place, row in enumerate(rows) if place < ROLLOUTS_PAGE or not rollout_is_terminal(row)]
        return {"rows": kept, "whole_at": now}

    def _read(self, name: str, max_age: float, read: Callable[[Record | None], Record]) -> Record:
        if self._file is None:
            return self._now(read, None)
        asked_at = time.time()
        if (fresh := self._fresh(name, max_age)) is not None:
            return fresh
        longest = self._client.transport.settings.request_timeout
        with _alone(self._file.with_suffix(".reading"), longest) as failed_at:
            if (fresh := self._fresh(name, max_age)) is not None:
                return fresh
            if failed_at is None or failed_at < asked_at:
                found = self._now(read, self._content().get(name))
                self._keep(self._file, name, found)
                return found
        # While this task waited, another one got an error. Now each task makes the call itself.
        return self._now(read, self._content().get(name))

    def _now(self, read: Callable[[Record | None], Record], former: Record | None) -> Record:
        at, answer = self._clock(), read(former)
        ahead = self._client.transport.server_clock.ahead
        return {**answer, "at": at, "server_time": self._client.server_time, "ahead": ahead}

    def _fresh(self, name: str, max_age: float) -> Record | None:
        kept = self._content().get(name)
        if not isinstance(kept, dict) or not 0 <= self._clock() - kept["at"] <= max_age:
            return None
        if kept.get("ahead") is not None:
            self._client.transport.server_clock.learn(kept["ahead"])
        return kept

    def _content(self) -> Record:
        """The content of the file for this address, key and headers; empty if it cannot be read."""
        if self._file is None:
            return {}
        try:
            stamp = self._file.stat().st_mtime_ns
            if self._seen is None or self._seen[0] != stamp:
                self._seen = (stamp, json.loads(self._file.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return {}
        content = self._seen[1]
        return content if isinstance(content, dict) and content.get("by") == self._by else {}

    def _keep(self, path: Path, name: str, found: Record) -> None:
        with contextlib.suppress(OSError):
            replace_text(path, json.dumps({**self._content(), "by": self._by, name: found}))


@contextlib.contextmanager
def _alone(path: Path, longest: float) -> Iterator[float | None]:
    """Lock out other tasks of this machine for the block. Yields when a read last failed (epoch seconds), or None.

    Waits for another task for ``longest`` seconds, and then continues without the lock, since that task may be stopped.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError:
        yield None
        return
    try:
        until = time.monotonic() + longest
        while _is_held_by_another(descriptor) and time.monotonic() < until:
            time.sleep(_LOOKS_EVERY)
        found = os.fstat(descriptor)
        try:
            yield found.st_mtime if found.st_size else None
        except ApiError:
            with contextlib.suppress(OSError):
                os.pwrite(descriptor, b"!", 0)
            raise
    finally:
        os.close(descriptor)


def _is_held_by_another(descriptor: int) -> bool:
    """Lock a file; True if another process has locked it. On a file system without locks, nobody is locked out."""
    try:
        return not try_lock(descriptor, 0, 0)
    except OSError:
        return False
