# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A number with its noun in the singular or the plural. Pure."""

from __future__ import annotations


def counted(number: int, singular: str, plural: str = "") -> str:
    """``1 instance``, ``1,200 instances``. ``plural``: needed if it is not ``singular`` with an s."""
    return f"{number:,} {singular if number == 1 else plural or f'{singular}s'}"
