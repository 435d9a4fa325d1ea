# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the options of modules that restart an instance."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  only_if_unhealthy:
    description:
      - Whether to skip an instance whose live health check reports that it is healthy.
      - An instance that does not respond counts as not healthy.
    type: bool
    default: false
  during_rollout:
    description: Whether to act on an instance while a redeploy of it is in progress. By default, the task fails in that
      case.
    type: bool
    default: false
  require_healthy:
    description: Whether the instance must be healthy after the restart.
    type: bool
    default: true
  healthy_reads:
    description: How many consecutive live health checks, O(wait_interval) apart, must be healthy after the restart.
    type: int
    default: 3
  wait:
    description: Whether to wait until the restart is verified, instead of returning once the server has accepted it.
    type: bool
    default: true
"""
