# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Callback of the benchmark that measures the CPU time spent in the hooks of the run log."""

from __future__ import annotations

import functools
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

from ansible_collections.fleetops.agents.plugins.callback.run_log import CallbackModule as RunLog

DOCUMENTATION = r"""
name: run_log_meter
type: aggregate
short_description: CPU time inside the hooks of the run log
description: At the end of a run, writes C(seconds) and C(calls) as JSON to the file in E(RUN_LOG_METER).
"""

spent = {"seconds": 0.0, "calls": 0}


def metered(hook: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(hook)
    def measured(*args: Any, **kwargs: Any) -> None:
        before = time.thread_time()
        hook(*args, **kwargs)
        spent["seconds"] += time.thread_time() - before
        spent["calls"] += 1
        if hook.__name__ == "v2_playbook_on_stats":
            Path(os.environ["RUN_LOG_METER"]).write_text(json.dumps(spent))

    return measured


for name in [name for name in vars(RunLog) if name.startswith("v2_") or name == "set_play_context"]:
    setattr(RunLog, name, metered(getattr(RunLog, name)))


class CallbackModule(CallbackBase):
    """Does nothing; loading this file wraps the hooks of the run log."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "run_log_meter"
    CALLBACK_NEEDS_ENABLED = True
