# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The error that ends the event source."""

from __future__ import annotations


class SourceError(Exception):
    """The source cannot continue. The message is one sentence that says what to do."""


def as_sentence(problem: object) -> str:
    """The text of an error with a full stop, so that another sentence can follow."""
    text = str(problem)
    return text if text.endswith((".", "?", "!")) else text + "."
