# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A backup of an instance's memory: the content of its file, and the memories that the instance no longer has."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .._client.body import parsed
from .._rules.answers import Record
from .._rules.ids import same_id
from .._rules.memory import SCOPE, body_of, content_of, covers, normalised, says_something, scope_of
from .whole_file import refuse_special


class BackupError(Exception):
    """The file cannot be used. The message says which file, why, and what to do."""


def document_of(instance_id: str, selection: Mapping[str, str], memories: Sequence[Record]) -> Record:
    """The content of a backup. ``selection``: the conversation and the customer that it is limited to, if any."""
    return {
        "instance_id": instance_id,
        **{key: selection.get(key) for key in SCOPE},
        "count": len(memories),
        "memories": list(memories),
    }


def text_of(document: Record) -> str:
    """The text of the file. It is ASCII, because half of a surrogate pair cannot be encoded in any other way."""
    return json.dumps(document, indent=4, sort_keys=True) + "\n"


def read_backup(path: Path) -> Record | None:
    """The content of the backup in a file; None if the file is empty or does not exist. Raises BackupError."""
    try:
        refuse_special(path)
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    # A path with a null character is a ValueError.
    except (OSError, ValueError) as error:
        raise BackupError(f"The backup {path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if not content.strip():
        return None
    document, is_json = parsed(content)
    if not is_json:
        raise BackupError(f"The file {path} is not a backup of a memory, or it is damaged: it is not valid JSON")
    memories = document.get("memories") if isinstance(document, dict) else None
    if not isinstance(memories, list) or not all(isinstance(memory, dict) for memory in memories):
        raise BackupError(f"The file {path} is not a backup of a memory: it contains no list of memories")
    return document


def refuse_other_slice(path: Path, document: Mapping[str, Any], selection: Mapping[str, str]) -> None:
    """Raise BackupError if the file is a backup of a conversation or customer other than the selected one."""
    held = {key: str(document[key]) for key in SCOPE if document.get(key) not in (None, "")}
    if held != dict(selection):
        raise BackupError(
            f"The backup {path} belongs to {_in_words(held)}, not to {_in_words(selection)}. Use another folder for "
            "one of them"
        )


def refuse_other_instance(path: Path, document: Mapping[str, Any], instance_id: str) -> None:
    """Raise BackupError if the file is a backup of another instance, which would be overwritten."""
    other = document.get("instance_id")
    if other and not same_id(other, instance_id):
        raise BackupError(
            f"The backup {path} belongs to instance {other}, not to instance {instance_id}. Nothing was written. Move "
            "it away, or use another folder"
        )


def are_equal(saved: Iterable[Record], held: Iterable[Record]) -> bool:
    """Whether both have the same memories, in any order, apart from when they were last read."""

    def texts(memories: Iterable[Record]) -> list[str]:
        shown = ({key: value for key, value in memory.items() if key != "last_accessed_at"} for memory in memories)
        return sorted(json.dumps(memory, sort_keys=True) for memory in shown)

    return texts(saved) == texts(held)


def compare(saved: Iterable[Record], held: Sequence[Record]) -> tuple[list[Record], list[Record]]:
    """The memories of a backup that the instance no longer has: those that can be stored again, and the empty ones.

    ``saved``: the memories of the backup, of which equal ones count once. ``held``: those of the instance. The API does
    not accept a memory without content.
    """
    missing: list[Record] = []
    empty: list[Record] = []
    known = [(scope_of(row), normalised(row)) for row in held]
    for memory in saved:
        body = body_of(memory)
        content, scope = content_of(body), scope_of(body)
        # The list is of the whole instance, so a memory without a conversation in it belongs to none.
        if not any(scope == other and covers(content, row) for other, row in known):
            (missing if says_something(body) else empty).append(memory)
            known.append((scope, normalised(memory)))
    return missing, empty


def broken(memories: Iterable[Record]) -> list[str]:
    """The names of the memories that contain half of a surrogate pair, for example of an emoji that was cut in two."""
    found = []
    for place, memory in enumerate(memories, start=1):
        try:
            json.dumps(memory, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            found.append(name_of(memory, place))
    return found


def name_of(memory: Mapping[str, Any], place: int) -> str:
    """A name for a memory: its id, or else its position in the list, counted from 1."""
    identity = memory.get("id", memory.get("memory_id"))
    return f"number {place}" if identity is None else str(identity)


def _in_words(selection: Mapping[str, str]) -> str:
    if not selection:
        return "the whole instance"
    return " and ".join(f"{key.removesuffix('_id')} {value}" for key, value in selection.items())
