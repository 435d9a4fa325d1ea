# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the module instance_update_info in the controller's process, see api_request.py."""

from __future__ import annotations

from ..action import api_request
from ..modules.instance_update_info import OPERATION


class ActionModule(api_request.ActionModule):
    """One task of instance_update_info."""

    operation = OPERATION
