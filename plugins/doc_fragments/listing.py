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
      - How many of the newest items to return, 1 or more.
      - If one page does not contain them all, more pages are read. If the server lists the oldest items first, the
        whole list is read.
    type: int
    default: 20
  offset:
    description: How many of the newest items to skip.
    type: int
    default: 0
  all:
    description: Whether to return the whole history, starting at O(offset), instead of O(limit) items.
    type: bool
    default: false
"""
