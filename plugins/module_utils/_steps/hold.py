# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Reading a hold, which is a file or an address, and waiting while a run is held."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

from .._client.other_server import NoAnswerError, status_of
from .._client.settings import check_timeout
from .._module.operation import Context
from .._module.options import Spec
from .._rules import hold
from .._rules.gate import HOLD, Check

# The options of a module that can be held. Times are in seconds.
HOLD_OPTIONS: Spec = {
    "hold": {"type": "str"},
    "hold_timeout": {"type": "float", "default": 3600},
    "hold_interval": {"type": "float", "default": 10},
}
_LONGEST_REASON = 120


def check_hold_options(context: Context) -> None:
    """Fail, or raise SettingsError, if the options for the hold are invalid. A blank ``hold`` counts as not given."""
    params = context.params
    params["hold"] = (params["hold"] or "").strip() or None
    if params["hold"] is not None and (problem := hold.problem_of(params["hold"])):
        context.fail(f"hold cannot be used: {problem}.")
    if params["hold"] is not None and hold.is_address(params["hold"]):
        check_timeout("request_timeout (FLEETOPS_REQUEST_TIMEOUT)", params["request_timeout"])


def read_hold(source: str, settings: dict[str, Any]) -> hold.Reading:
    """Read the hold once. ``settings``: ``validate_certs``, ``ca_path`` and ``request_timeout``, as for the API."""
    if not hold.is_address(source):
        return _of_file(source)
    try:
        status = status_of(
            source,
            validate_certs=settings["validate_certs"],
            ca_path=settings["ca_path"],
            timeout=settings["request_timeout"],
        )
    except NoAnswerError as failure:
        return hold.Reading(None, f"{hold.shown(source)} did not answer: {failure}")
    return hold.of_status(source, status)


def check_hold(context: Context, *, wait: bool = True) -> Check:
    """Check whether the run is held.

    With ``wait`` the verdict is never ``hold``: the hold is read again until it is lifted, or ``hold_timeout`` seconds
    have passed. The check is inconclusive after four consecutive reads without a result.
    """
    params = context.params
    reads: hold.Reads | None = None
    while True:
        reads = hold.Reads.after(reads, read_hold(params["hold"], params), context.clock())
        if not wait and reads.reading.held:
            # The run has not waited yet, so hold_timeout cannot be reached.
            return replace(hold.judge(reads.reading, waited=-1.0, timeout=params["hold_timeout"]), facts={})
        check = reads.check(params["hold_timeout"])
        if check.verdict != HOLD:
            return replace(check, facts={**check.facts, "held_seconds": round(reads.seconds, 1)})
        interval = params["hold_interval"]
        left = params["hold_timeout"] - reads.waited
        # A hold that could not be read is read MAX_UNKNOWN times, even if that takes longer than hold_timeout.
        context.sleep(min(interval, left) if reads.reading.held else interval)


def _of_file(path: str) -> hold.Reading:
    """Read a hold that is a file. If its folder does not exist either, the result is unknown."""
    # Path.expanduser raises an error for an unknown user.
    full = Path(os.path.expanduser(path))  # noqa: PTH111
    try:
        full.lstat()
    except FileNotFoundError:
        if full.parent.is_dir():
            return hold.Reading(False, hold.shown(path))
        return hold.Reading(None, f"the folder of {hold.shown(path)} does not exist")
    except (OSError, ValueError) as problem:
        said = getattr(problem, "strerror", None) or problem
        return hold.Reading(None, f"{hold.shown(path)} cannot be looked for ({said})")
    reason = _first_line(full)
    return hold.Reading(True, hold.shown(path) + (f" ({reason})" if reason else ""))


def _first_line(path: Path) -> str:
    """The first line of the file, which says why the run is held; empty if it is not a regular file or not readable."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return ""
        with path.open("rb") as file:
            line = file.readline(_LONGEST_REASON)
    except OSError:
        return ""
    return " ".join(line.decode("utf-8", "replace").split())
