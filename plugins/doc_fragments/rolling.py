# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the options that the plan and the gate of a rolling run have in common."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  window_margin:
    description: Seconds that must be left between the end of a batch and the end of the maintenance window.
    type: float
    default: 300
  freezes:
    description:
      - Periods in which nothing may be changed, as a list of mappings or as JSON text. Each has C(from) and C(to) in
        ISO 8601, and optionally C(zone), C(reason) and C(rule).
      - C(zone) is an IANA time zone such as V(Europe/Berlin). The default is UTC. A C(to) without a time of day means
        the end of that day.
      - C(rule) is a recurrence rule of RFC 5545 such as V(FREQ=WEEKLY;BYDAY=FR), whose first occurrence is from C(from)
        to C(to). It needs the Python library python-dateutil.
      - The maintenance window counts as closed in these periods. If they are invalid, the plan fits no batch into the
        window, and the verdict of the gate is V(inconclusive).
    type: raw
  defer_busy:
    description:
      - An instance that had a conversation within this many seconds, according to the audit, is busy. The plan puts it
        last, and the gate checks it again before its batch. V(0) disables the rule.
    type: float
    default: 0
"""
