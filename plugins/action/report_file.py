# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the module report_file in the controller's process, see api_request.py."""

from __future__ import annotations

from ..action import api_request
from ..modules.report_file import OPERATION


class ActionModule(api_request.ActionModule):
    """One task of report_file."""

    operation = OPERATION
