# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The file that holds a backup of an instance's memory: reading it, and replacing it so that a kill loses nothing."""

from __future__ import annotations

import json
import os
import stat
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.fleetops.agents.plugins.module_utils._api.ids import same_id
from ansible_collections.fleetops.agents.plugins.module_utils._api.memory import SCOPE, body_of, find, says_something
from ansible_collections.fleetops.agents.plugins.module_utils._api.models import Record

# A started file that is older than this (seconds) was left behind by a process that was killed.
_ABANDONED = 3600.0
_STARTED = ".part"


class BackupError(Exception):
    """The file cannot be used; the message says which, why, and what to do."""


def document_of(instance_id: str, selection: Mapping[str, str], memories: Sequence[Record]) -> Record:
    """What a backup's file holds. ``selection``: the conversation and the customer that it is of, if any."""
    return {
        "instance_id": instance_id,
        **{key: selection.get(key) for key in SCOPE},
        "count": len(memories),
        "memories": list(memories),
    }


def text_of(document: Record) -> str:
    """The file's text. Only ASCII: half a surrogate pair, which is no character, can be kept in no other way."""
    return json.dumps(document, indent=4, sort_keys=True) + "\n"


def read_backup(path: Path) -> Record | None:
    """The document in the file, None if there is no file. Raises BackupError."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BackupError(f"The backup {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise BackupError(f"The backup {path} is damaged, it is no JSON: {error}") from error
    memories = document.get("memories") if isinstance(document, dict) else None
    if not isinstance(memories, list) or not all(isinstance(memory, dict) for memory in memories):
        raise BackupError(f"The file {path} is no backup of a memory: it holds no list of memories")
    return document


def refuse_other_slice(path: Path, document: Mapping[str, Any], selection: Mapping[str, str]) -> None:
    """Raise BackupError if the file holds another conversation or customer than the one that is asked for."""
    held = {key: str(document[key]) for key in SCOPE if document.get(key) not in (None, "")}
    if held != dict(selection):
        raise BackupError(
            f"The backup {path} is of {_in_words(held)}, not of {_in_words(selection)}. Use another folder for one of "
            "them"
        )


def refuse_other_instance(path: Path, document: Mapping[str, Any], instance_id: str) -> None:
    """Raise BackupError if the file is the backup of another instance, which a new one would replace."""
    other = document.get("instance_id")
    if other and not same_id(other, instance_id):
        raise BackupError(
            f"The backup {path} is of instance {other}, not of instance {instance_id}. Nothing was written. Move it "
            "away, or use another folder"
        )


def is_current(path: Path, text: str) -> bool:
    """Whether the file holds the text already, for its owner alone."""
    try:
        return stat.S_IMODE(path.stat().st_mode) == 0o600 and path.read_text(encoding="utf-8") == text
    except (OSError, ValueError):
        return False


def replace_file(path: Path, text: str) -> None:
    """Put the text where the file is, or leave the file as it was: whoever is killed, one of the two is there whole.

    The text is written beside it, brought to the disk and read back before it takes the place. Folders that are
    missing are made, 0700; the file is 0600. Raises BackupError.
    """
    path = Path(os.path.realpath(path))
    started: Path | None = None
    try:
        _make_folder(path.parent)
        _remove_abandoned(path)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=_STARTED, dir=path.parent)
        started = Path(name)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if started.read_text(encoding="ascii") != text:
            raise BackupError(f"What was written to {started} is not what the file holds. {path} is as it was")
        started.replace(path)
        started = None
        _bring_to_disk(path.parent)
    except OSError as error:
        raise BackupError(f"The backup {path} cannot be written, so it is as it was: {error.strerror}") from error
    finally:
        if started is not None:
            started.unlink(missing_ok=True)


def _make_folder(folder: Path) -> None:
    """The folder and those above it, each for its owner alone if it is new; one that is there stays as it is."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def _remove_abandoned(path: Path) -> None:
    for left in path.parent.glob(f".{_without_patterns(path.name)}.*{_STARTED}"):
        try:
            if time.time() - left.stat().st_mtime > _ABANDONED:
                left.unlink()
        except OSError:
            continue


def _without_patterns(name: str) -> str:
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in name)


def _bring_to_disk(folder: Path) -> None:
    """So that the new name outlives a power cut; some file systems cannot, and need not."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)


def compare(saved: Iterable[Record], held: Sequence[Record]) -> tuple[list[Record], list[Record]]:
    """The memories of a backup that no memory of the instance says any more: those to store again, and the rest.

    A memory without content, of the rest, says nothing, and the API does not take it; nothing is lost with it.
    """
    missing: list[Record] = []
    empty: list[Record] = []
    for memory in saved:
        body = body_of(memory)
        if find(held, body) is None:
            (missing if says_something(body) else empty).append(memory)
    return missing, empty


def broken(memories: Iterable[Record]) -> list[str]:
    """The names of the memories with text that is no Unicode: half of a surrogate pair, as of an emoji cut in two."""
    found = []
    for place, memory in enumerate(memories, start=1):
        try:
            json.dumps(memory, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            found.append(name_of(memory, place))
    return found


def name_of(memory: Mapping[str, Any], place: int) -> str:
    """What to call a memory: its id, or else its place in the list, from 1."""
    identity = memory.get("id", memory.get("memory_id"))
    return f"number {place}" if identity is None else str(identity)


def _in_words(selection: Mapping[str, str]) -> str:
    if not selection:
        return "the whole instance"
    return " and ".join(f"{key.removesuffix('_id')} {value}" for key, value in selection.items())
