# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A number with its noun in the singular or the plural, and the first of many names. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def counted(number: int, singular: str, plural: str = "") -> str:
    """``1 instance``, ``1,200 instances``. ``plural``: needed if it is not ``singular`` with an s."""
    return f"{number:,} {singular if number == 1 else plural or f'{singular}s'}"


def first_of(names: Sequence[str], most: int) -> str:
    """The first names, and how many more there are: ``web-1, web-2 and 1,200 more``."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
