# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fingerprints of error messages. The same failure has the same fingerprint on all hosts and at all times."""

from __future__ import annotations

import hashlib
import re

# Stored with every fingerprint. Increase it if the rule below changes, so that old and new ones are not compared.
FP_VERSION = 1

_UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.IGNORECASE)
# A sequence of hex digits with at least one decimal digit: "deadbeef1" is an id, "facade" is a word.
_HEX = re.compile(r"\b(?:0x)?(?=[a-f]*[0-9])[0-9a-f]{6,}\b", re.IGNORECASE)
_NUMBER = re.compile(r"\d+")
_SPACE = re.compile(r"\s+")


def normalised(message: str, host: str | None = None) -> str:
    """``message`` with its host as ``<host>`` and every uuid, hex id and number as ``#``, on one line."""
    # Compiling a pattern for each host costs more than all the rest.
    if host and host.casefold() in message.casefold():
        message = re.sub(rf"(?<![\w.-]){re.escape(host)}(?![\w-])", "<host>", message, flags=re.IGNORECASE)
    for pattern in (_UUID, _HEX, _NUMBER):
        message = pattern.sub("#", message)
    return _SPACE.sub(" ", message).strip()


def fingerprint(message: str, host: str | None = None) -> str:
    """Twelve hex digits that identify the normalised message."""
    # Not used for security.
    return hashlib.sha1(normalised(message, host).encode(errors="replace"), usedforsecurity=False).hexdigest()[:12]
