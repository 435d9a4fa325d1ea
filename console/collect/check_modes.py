# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which results are only predictions, and whether a run counts as a check run.

The keyword ``check_mode`` of a play, a block or a task overrides --check, so the results of this collection's modules
decide too. A run with --check does not count as a check run once one of them has changed something. A run without it
counts as one if changes were only predicted, and all modules that act on instances ran in check mode.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from console.outcomes.outcome import WORK
from console.record.rows import Row, as_text, to_json
from console.text.json_values import parsed

_OURS = "fleetops.agents."
# It changes only a file of the control node.
_REPORT_FILE = "report_file"

Modes = dict[str, bool]
"""given: the run was started with --check. predicted: something would have been changed. real: a result shows that it
is not a check run."""


def new_modes(given: bool) -> Modes:
    return {"given": given, "predicted": False, "real": False}


def add_result(modes: Modes, run: Row, data: Mapping[str, Any], status: str, *, changed: bool) -> bool:
    """Add a result to ``modes`` and to the row of its run. data: of its event. Returns whether it is a prediction."""
    own = data.get("fleetops_check_mode")
    in_check_mode = own if isinstance(own, bool) else modes["given"]
    action = as_text(data.get("resolved_action")) or ""
    module = action.removeprefix(_OURS)
    if module not in (action, _REPORT_FILE) and status in ("ok", "failed", "ignored", "retry"):
        if in_check_mode:
            modes["predicted"] |= changed
        else:
            modes["real"] |= changed or (module in WORK and not modes["given"])
        run["check_mode"] = int(not modes["real"] and (modes["given"] or modes["predicted"]))
        if modes["real"] and (about := [name for name in ("given", "predicted") if modes[name]]):
            run["meta_json"] = to_json({**parsed(run["meta_json"]), "check_modes": about})
    return changed and in_check_mode
