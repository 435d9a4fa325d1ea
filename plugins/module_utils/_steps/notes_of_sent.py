# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What this machine has sent and not found yet, in the user's state folder, so that no later run sends it again.

A note is written just before the call leaves and ends with the evidence of what the call did. A killed process leaves
its note behind. All of this is done under the claim of the subject (see _claimed and _admission).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.fleetops.agents.plugins.module_utils._client.transport import base_url
from ansible_collections.fleetops.agents.plugins.module_utils._module.operation import Context
from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import Record, iso_time, number
from ansible_collections.fleetops.agents.plugins.module_utils._rules.ids import id_key

# Seconds for which a call that was not found keeps a later run from sending it again.
KEPT_FOR = 3600.0
# Seconds within which what a call did shows in the server's lists. Of a process that was killed while sending, a call
# that has not shown by then is taken as never sent.
SETTLES_WITHIN = 120.0

SENDING, ANSWERED, LOST, FOUND = "sending", "answered", "lost", "found"


@dataclass(frozen=True)
class Note:
    """One call. ``stage``: sending (no answer came while the process lived), answered, lost (an answer that says
    nothing of the outcome) or found. ``age`` in seconds, by the server's clock where there is one. ``noted_at``: this
    machine's clock (epoch seconds) as the stage was written. ``sent_at``: the clock that ``age`` goes by, epoch
    seconds. ``facts``: what tells the effect of the call from others; plain data."""

    stage: str
    age: float
    sent_at: float
    noted_at: float
    kept_for: float
    facts: Record = field(default_factory=dict)

    @property
    def sent_in_words(self) -> str:
        return f"{iso_time(self.sent_at)}"

    @property
    def ends_in_words(self) -> str:
        return f"{iso_time(self.sent_at + self.kept_for)}"

    @property
    def outcome_in_words(self) -> str:
        if self.stage == ANSWERED:
            return "the server accepted it"
        return "whether the server carried it out is unknown"


class Notes:
    """The notes of one subject (an instance's id, or ``fleet``) at the server of a task.

    ``kind`` is what is claimed together: update, fleet, memory, restart. A folder that cannot be used is a warning,
    once: the call is sent all the same, and nothing keeps a later run from sending it again.
    """

    def __init__(self, context: Context, kind: str, subject: str) -> None:
        self._context = context
        url = base_url(context.params["api_url"])
        self._about = {"api": url, "kind": kind, "subject": id_key(subject)}
        names = (url.lower(), f"{kind} {id_key(subject)}")
        self._name = "-".join(hashlib.sha256(name.encode()).hexdigest()[:16] for name in names) + ".json"

    def read(self, key: str) -> Note | None:
        """The note of a call, unless it is older than it is kept."""
        entry = self._load().get(key)
        return self._note(entry) if isinstance(entry, dict) else None

    def sending(self, key: str, kept_for: float = KEPT_FOR, **facts: Any) -> None:
        """The call is about to leave."""
        clock = self._context.client.server_time
        self._keep(
            key,
            {
                "stage": SENDING,
                "sent_at": time.time() if clock is None else clock,
                "server_clock": clock is not None,
                "sent_at_here": time.time(),
                "kept_for": kept_for,
                "facts": facts,
            },
        )

    def set_stage(self, key: str, stage: str, **facts: Any) -> None:
        """What became of the call since; ``facts`` are added."""
        entry = self._load().get(key)
        if isinstance(entry, dict):
            self._keep(key, {**entry, "stage": stage, "facts": {**(entry.get("facts") or {}), **facts}})

    def found(self, key: str, **facts: Any) -> None:
        """What the call did is known, for a task that waits for this one."""
        self.sending(key, **facts)
        self.set_stage(key, FOUND)

    def end(self, *keys: str) -> None:
        """Forget calls; without a key all of the subject."""
        entries = self._load()
        left = {key: entry for key, entry in entries.items() if keys and key not in keys}
        if left != entries:
            self._store(left)

    def _keep(self, key: str, entry: Record) -> None:
        entries = {name: other for name, other in self._load().items() if self._note(other) is not None}
        self._store({**entries, key: {**entry, "noted_at": time.time()}})

    def _note(self, entry: Any) -> Note | None:
        if not isinstance(entry, dict):
            return None
        times = [number(entry.get(name)) for name in ("sent_at", "sent_at_here", "noted_at", "kept_for")]
        sent_at, sent_here, noted_at, kept_for = (0.0 if at is None else at for at in times)
        now = self._context.client.server_time
        age = time.time() - sent_here if now is None or not entry.get("server_clock") else now - sent_at
        if age > kept_for:
            return None
        facts = entry.get("facts")
        facts = facts if isinstance(facts, dict) else {}
        return Note(str(entry.get("stage")), max(0.0, age), sent_at, noted_at, kept_for, facts)

    def _load(self) -> Record:
        try:
            descriptor = os.open(_folder() / self._name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return {}
        except (OSError, RuntimeError) as failure:
            self._warn(failure)
            return {}
        with os.fdopen(descriptor, encoding="utf-8") as file:
            try:
                found = os.fstat(file.fileno())
                if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
                    raise OSError(1, "it is no file of this user")
                content = json.load(file)
            except (OSError, ValueError) as failure:
                self._warn(failure)
                return {}
        calls = content.get("calls") if isinstance(content, dict) else None
        return calls if isinstance(calls, dict) else {}

    def _store(self, entries: Record) -> None:
        """Write beside, then rename: a reader sees the old notes or the new ones."""
        try:
            folder = _folder()
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = folder.stat()
            if found.st_uid != os.geteuid():
                raise OSError(1, "its folder belongs to somebody else")
            if not entries:
                (folder / self._name).unlink(missing_ok=True)
                return
            beside = folder / f".{self._name}.new"
            beside.unlink(missing_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
            try:
                with os.fdopen(os.open(beside, flags, 0o600), "w", encoding="utf-8") as file:
                    json.dump({**self._about, "calls": entries}, file)
                    file.flush()
                    os.fsync(file.fileno())
                beside.replace(folder / self._name)
            except OSError:
                with contextlib.suppress(OSError):
                    beside.unlink()
                raise
        except (OSError, RuntimeError) as failure:
            self._warn(failure)

    def _warn(self, failure: Exception) -> None:
        said = failure.strerror if isinstance(failure, OSError) else str(failure)
        self._context.warn_once(
            "notes",
            f"What is sent cannot be remembered on this machine: {self._name} in {_folder_in_words()}: {said}. "
            "If it is not found afterwards, a later run may send it again. Set XDG_STATE_HOME to a folder that is "
            "kept.",
        )


def _folder() -> Path:
    """``$XDG_STATE_HOME/fleetops/sent``, where XDG_STATE_HOME is by default ~/.local/state. Raises RuntimeError."""
    state = os.environ.get("XDG_STATE_HOME", "")
    base = Path(state) if state.startswith("/") else Path.home() / ".local" / "state"
    return base / "fleetops" / "sent"


def _folder_in_words() -> str:
    try:
        return str(_folder())
    except RuntimeError:
        return "no folder, since there is no home directory"
