# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lookup: waits until one of Ansible's workers is free."""

from __future__ import annotations

DOCUMENTATION = r"""
name: free_worker
author:
  - The fleetops.agents contributors (@fleetops)
version_added: 0.2.0
short_description: Wait until one of Ansible's workers is free
description:
  - Use it as the C(throttle) of a long task with more hosts than C(forks). It returns 0, which sets no limit.
  - Ansible evaluates C(throttle) before it gives a host's task to a worker. If no worker is free, it then checks
    thousands of times per second whether one is. Over a long run these checks take more processor time than the
    tasks do. This lookup waits first, and the operating system wakes it as soon as a worker ends.
  - The order of the hosts and the number of parallel tasks do not change.
"""

EXAMPLES = r"""
- name: Redeploy many instances, each of which waits for its admission itself
  fleetops.agents.instance_runtime:
    instance_id: "{{ fleetops_instance_id }}"
  throttle: "{{ lookup('fleetops.agents.free_worker') }}"
"""

RETURN = r"""
_raw:
  description: The number 0.
  type: list
  elements: int
  sample: [0]
"""

import multiprocessing
import time
from multiprocessing.connection import wait
from typing import Any

from ansible.executor.process.worker import WorkerProcess
from ansible.plugins.lookup import LookupBase

# Seconds between two checks of the workers: at least, and at most if none ends in the meantime.
_SHORTEST = 0.005
_LONGEST = 1.0


class LookupModule(LookupBase):
    """Waits in Ansible's own process. In a worker, which has no workers, it returns at once."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[int]:
        forks = int((variables or {}).get("ansible_forks") or 1)
        while len(busy := _workers()) >= forks:
            wait([worker.sentinel for worker in busy], timeout=_LONGEST)
            # A worker closes its files, which ends the wait, a moment before it has ended.
            time.sleep(_SHORTEST)
        return [0]


def _workers() -> list[Any]:
    return [child for child in multiprocessing.active_children() if isinstance(child, WorkerProcess)]
