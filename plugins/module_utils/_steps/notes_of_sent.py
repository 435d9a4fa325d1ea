# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Notes about calls that this machine has sent and whose effect is not known yet, so that they are not sent again.

The notes are in the user's state folder. A note is written just before the call is sent, and removed when the effect of
the call is known. A killed process leaves its note behind. Notes are read and written only while the subject is claimed
(see claimed.py and admission_locks.py).
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._client.transport import base_url
from .._module.operation import Context
from .._rules.answers import Record, iso_time, number
from .._rules.ids import id_key
from .state_folder import make_private, replace_text, state_folder

# Seconds for which a call whose effect was not found is not sent again.
KEPT_FOR = 3600.0
# Seconds within which the effect of a call appears in the server's lists. If a process was killed while it was sending
# a call, and nothing has appeared by then, the call was never sent.
SETTLES_WITHIN = 120.0

SENDING, ANSWERED, LOST, FOUND = "sending", "answered", "lost", "found"


@dataclass(frozen=True)
class Note:
    """The note of one call.

    ``stage``: sending (the process ended before there was an answer), answered, lost (the outcome is unknown) or found.
    ``sent_at``: epoch seconds by the server's clock if it was known, else by the local clock. ``age``: seconds since
    then, by the same clock. ``noted_at``: when the stage was written (epoch seconds, local clock). ``kept_for``: after
    how many seconds the note expires. ``facts``: plain data to identify the effect of the call.
    """

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
    """The notes about one subject (an instance's id, or ``fleet``) on the server of a task.

    ``kind``: the kind of calls, which are claimed together: update, fleet, memory or restart. If the folder cannot be
    used, there is one warning. The call is sent nevertheless, and a later run may send it again.
    """

    def __init__(self, context: Context, kind: str, subject: str) -> None:
        self._context = context
        url = base_url(context.params["api_url"])
        self._about = {"api": url, "kind": kind, "subject": id_key(subject)}
        names = (url.lower(), f"{kind} {id_key(subject)}")
        self._name = "-".join(hashlib.sha256(name.encode()).hexdigest()[:16] for name in names) + ".json"

    def read(self, key: str) -> Note | None:
        """The note of a call; None if there is none or it has expired."""
        return self._note(self._load().get(key))

    def sending(self, key: str, kept_for: float = KEPT_FOR, **facts: Any) -> None:
        """Write a note because the call is about to be sent. ``facts``: see Note."""
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
        """Change the stage of a note, and add ``facts``."""
        entry = self._load().get(key)
        if isinstance(entry, dict):
            self._keep(key, {**entry, "stage": stage, "facts": {**(entry.get("facts") or {}), **facts}})

    def found(self, key: str, **facts: Any) -> None:
        """Write a note that the effect of the call is known, for another task that is waiting for this one."""
        self.sending(key, **facts)
        self.set_stage(key, FOUND)

    def end(self, *keys: str) -> None:
        """Remove the notes of these calls or, without a key, all notes about the subject."""
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
                    raise OSError(1, "it is not a file of this user")
                content = json.load(file)
            except (OSError, ValueError) as failure:
                self._warn(failure, self._name)
                return {}
        calls = content.get("calls") if isinstance(content, dict) else None
        return calls if isinstance(calls, dict) else {}

    def _store(self, entries: Record) -> None:
        """Replace the file atomically, so that a reader sees either the old or the new notes."""
        try:
            folder = _folder()
            make_private(folder)
            found = folder.stat()
            if found.st_uid != os.geteuid():
                raise OSError(1, "its folder belongs to another user")
            if not entries:
                (folder / self._name).unlink(missing_ok=True)
                return
            replace_text(folder / self._name, json.dumps({**self._about, "calls": entries}), flush=True)
        except (OSError, RuntimeError) as failure:
            self._warn(failure)

    def _warn(self, failure: Exception, name: str = "") -> None:
        """Warn in the same words for every subject, so that Ansible shows them once. ``name``: its file, if it is the
        cause."""
        said = failure.strerror if isinstance(failure, OSError) else str(failure)
        # Without a home directory, which is the RuntimeError, there is no folder to name.
        where = "" if isinstance(failure, RuntimeError) else f"{_folder() / name}: "
        self._context.warn_once(
            "notes",
            f"Sent calls cannot be recorded on this machine: {where}{said}. If the effect of a call is not found, a "
            "later run may send it again. Set XDG_STATE_HOME to a writable folder that is kept.",
        )


def _folder() -> Path:
    return state_folder(os.environ, "sent")
