# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The watermark file: the known state of the fleet, and which events were sent to ansible-rulebook."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from contextlib import suppress
from pathlib import Path

from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import Record
from ansible_collections.fleetops.agents.plugins.module_utils._steps.state_folder import make_private, replace_text

from .errors import SourceError


class Watermark:
    """The known state (``known``), and the events that follow from it and must still be sent (``outbox``).

    The file is replaced atomically, so both always belong together. ``FILE.log`` records which events were sent:
    ``put`` before and ``done`` after. If an event has ``put`` but not ``done`` when the file is opened, it is unknown
    whether it arrived, so it is sent again with ``repeated`` true. ``FILE.lock`` locks out other processes.

    A context manager. Raises SourceError with the name of the file if it cannot be read, written or locked.
    """

    FORMAT = 1

    def __init__(self, path: Path, api_url: str) -> None:
        # The file that a link points to, for example on a volume. Otherwise the link would be replaced.
        path = Path(os.path.realpath(path))
        self.path, self.api_url = path, api_url
        self.known: Record = {}
        self.outbox: list[Record] = []
        self._log_path = path.with_name(path.name + ".log")
        self._files: list[int] = []

    def __enter__(self) -> Watermark:
        try:
            make_private(self.path.parent)
            lock = os.open(self.path.with_name(self.path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
            self._files.append(lock)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._load()
            self._log = os.open(self._log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            self._files.append(self._log)
        except BlockingIOError:
            self.__exit__()
            raise SourceError(
                f"The watermark file {self.path} is in use by another ansible-rulebook; give each its own file "
                "(option watermark)."
            ) from None
        except OSError as problem:
            self.__exit__()
            raise SourceError(f"The watermark file {self.path} cannot be used: {problem.strerror}.") from None
        except SourceError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        while self._files:
            os.close(self._files.pop())

    def _load(self) -> None:
        try:
            whole = json.loads(self.path.read_text(encoding="utf-8"))
            if not isinstance(whole, dict) or whole.get("format") != self.FORMAT:
                raise ValueError("its format is not known to this version")
            known, outbox, api_url = whole["known"], whole["outbox"], whole["api_url"]
            if not _is_complete(known, outbox):
                raise ValueError("it has parts of the wrong type")
        except FileNotFoundError:
            return
        except (ValueError, KeyError, RecursionError) as problem:
            raise SourceError(
                f"The watermark file {self.path} is not readable ({problem}); move it away to start again from now."
            ) from None
        if api_url != self.api_url:
            raise SourceError(
                f"The watermark file {self.path} belongs to {api_url}, not to {self.api_url}; name another file "
                "(option watermark)."
            )
        noted: dict[str, str] = {}
        if self._log_path.exists():
            lines = self._log_path.read_text(encoding="utf-8", errors="replace").splitlines()
            noted = {parts[1]: parts[0] for parts in (line.split() for line in lines) if len(parts) == 2}
        self.known = known
        self.outbox = [
            {**row, "repeated": True} if noted.get(row["id"]) == "put" else row
            for row in outbox
            if noted.get(row["id"]) != "done"
        ]

    def commit(self, events: list[Record]) -> None:
        """Write the known state, and add ``events`` to the outbox. Raises SourceError."""
        try:
            self._replace(events)
        except OSError as problem:
            raise _unwritable(self.path, problem) from None

    def _replace(self, events: list[Record]) -> None:
        self.outbox = [*self.outbox, *events]
        whole = {"format": self.FORMAT, "api_url": self.api_url, "known": self.known, "outbox": self.outbox}
        replace_text(self.path, json.dumps(whole, separators=(",", ":")), flush=True)
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        if not self.outbox or self.outbox == events:
            # No event in the file is mentioned in the log.
            os.ftruncate(self._log, 0)

    def note(self, word: str, event_id: str) -> None:
        """Append to the log: ``put`` (it is being sent), ``back`` (it was not sent after all) or ``done``.

        Raises SourceError. The log then still ends with a complete line.
        """
        try:
            self._append(f"{word} {event_id}\n".encode())
        except OSError as problem:
            raise _unwritable(self._log_path, problem) from None

    def _append(self, line: bytes) -> None:
        size = os.fstat(self._log).st_size
        try:
            # On a disk that becomes full, only the beginning of the line may be written, without an error.
            if os.write(self._log, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._log)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._log, size)
            raise


def _is_complete(known: object, outbox: object) -> bool:
    """Whether both parts of the file have the types that the source writes."""
    if not isinstance(known, dict) or not isinstance(outbox, list):
        return False
    parts = [known.get(name, {}) for name in ("rollouts", "names", "excused", "health", "audit")]
    return all(isinstance(part, dict) for part in parts) and all(
        isinstance(row, dict) and isinstance(row.get("id"), str) and isinstance(row.get("meta"), dict) for row in outbox
    )


def _unwritable(path: Path, problem: OSError) -> SourceError:
    return SourceError(
        f"The watermark file {path} cannot be written: {problem.strerror}, so no more events are sent. Free disk space "
        "or make the file writable, and start ansible-rulebook again. The events that were not sent are sent then."
    )
