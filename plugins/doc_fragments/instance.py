# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the option that every instance_* module has."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  instance_id:
    description:
      - The id of the instance (a UUID). The inventory plugin P(fleetops.agents.fleet#inventory) sets it for each host
        as C(fleetops_instance_id).
      - If C(fleetops_instance_id) of the host that the task runs for is this id, messages name the host and
        not the id. With C(async), C(environment) or a delegation to another machine, they name the id.
      - An id must be text. Write it in quotes, since YAML reads some ids as a number, a date or a boolean, which are
        refused.
    type: raw
    required: true
"""
