# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the attributes: how far a module supports check mode, diff mode, idempotence, become and action
groups."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
attributes:
  check_mode:
    description: Can run in check mode and report what would change, without sending any write request.
  diff_mode:
    description: Returns what it changes (or in check mode would change) when the task runs in diff mode.
  idempotent:
    description: Reports no change when it runs again with the same options and nothing else has changed.
  become:
    description: Can be used with the keyword C(become).
    support: none
    details: The module runs in the controller's process, as the user who runs Ansible. C(become) applies only with
      C(async), C(environment) or C(delegate_to) another machine, with which it runs as an ordinary module.
  action_group:
    description: Use C(group/fleetops.agents.fleet) in C(module_defaults) to set the connection options once.
    support: full
    membership:
      - fleetops.agents.fleet
"""

    INFO = r"""
attributes:
  check_mode:
    support: full
    details: This module sends no write requests.
  diff_mode:
    support: N/A
    details: This module changes nothing.
  idempotent:
    support: full
    details: This module changes nothing.
"""

    INSTANCE = r"""
attributes:
  action_group:
    description: Use C(group/fleetops.agents.fleet) in C(module_defaults) to set the connection options once,
      and C(group/fleetops.agents.instance) to set O(instance_id) once.
    support: full
    membership:
      - fleetops.agents.fleet
      - fleetops.agents.instance
"""
