# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What a backup of an instance's memory is: its file, and what of it an instance has no more."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import Record
from ansible_collections.fleetops.agents.plugins.module_utils._rules.ids import same_id
from ansible_collections.fleetops.agents.plugins.module_utils._rules.memory import (
    SCOPE,
    body_of,
    find,
    says_something,
)


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
