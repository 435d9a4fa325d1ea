# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Texts of the server without characters that could control a terminal. Pure.

The results of modules, warnings, errors, the inventory and the command line of the console all use these functions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# C0 and C1 control characters except the line feed and the tab, the Unicode line and paragraph separators, characters
# that change the direction of text, and halves of surrogate pairs, which cannot be encoded.
_NOT_FOR_A_TERMINAL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(text: str) -> str:
    """``text`` with an escape, such as ``\\x1b``, for each character that could control a terminal. Lines end in LF."""
    if not _NOT_FOR_A_TERMINAL.search(text):
        return str(text)
    return _NOT_FOR_A_TERMINAL.sub(_escape, text.replace("\r\n", "\n"))


def printable_line(text: str) -> str:
    """As ``printable``, but line feeds and tabs are escaped too, for a cell of a table."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def printable_json(document: str) -> str:
    """An equivalent JSON document in which all characters that could control a terminal are escaped."""
    return _NOT_FOR_A_TERMINAL.sub(lambda found: f"\\u{ord(found.group()):04x}", document)


def printable_values(value: Any) -> Any:
    """A copy of plain data (mappings, sequences, scalars) in which all texts are printable."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {printable_values(key): printable_values(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [printable_values(item) for item in value]
    return value


def _escape(found: re.Match[str]) -> str:
    code = ord(found.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
