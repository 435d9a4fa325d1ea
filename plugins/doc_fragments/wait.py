# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the options of modules that wait."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  wait:
    description:
      - Whether to wait until the operation has finished, instead of returning once the server has accepted it.
      - If the server cannot be read during the wait, it is asked again for up to two minutes before the task fails.
    type: bool
    default: true
  wait_interval:
    description:
      - Seconds between the first two checks of the state. Each pause is 1.5 times as long as the one before, up to 5
        times this value.
    type: float
    default: 2
"""
