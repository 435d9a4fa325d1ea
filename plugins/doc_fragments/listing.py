# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the options of modules that read a long list."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  limit:
    description:
      - How many of the newest to return, from 1 on.
      - More calls are made where one does not hold them all, and where the server gives fewer than were asked for. A
        server that lists the oldest first has its list read to the end.
    type: int
    default: 20
  offset:
    description: How many of the newest to leave out.
    type: int
    default: 0
  all:
    description: Whether to return the whole history, from O(offset) on, instead of O(limit).
    type: bool
    default: false
"""
