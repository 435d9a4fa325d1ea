# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a page says of the follower of its database (`sync --follow`)."""

from __future__ import annotations

import re
import time

from console.record.read.freshness import DIED, HANGS, RUNNING, STOPPED, Follower, follower
from console.settings.environment import load_settings
from console.web.shared import viewer


def newest() -> Follower | None:
    """The present state of the newest follower, None if there is nothing to report."""
    # Not cached until the database changes, as other answers are: a follower that was killed no longer changes it.
    return follower(load_settings().database, time.time())


def is_well(found: Follower) -> bool:
    """Whether a follower runs and can read all its sources."""
    return found.state == RUNNING and found.trouble is None


def sentence(found: Follower) -> str:
    """What a follower does, or since when it does not. It contains no Markdown characters."""
    if is_well(found):
        return "Following"
    source, host = _source(found.trouble), re.sub(r"[^A-Za-z0-9.-]", "-", found.host)
    since = f"{viewer.moment(found.since)} ({viewer.ago(found.since)})"
    unread = f"; it could not read {source}" if source else ""
    return {
        RUNNING: f"The follower on {host} has not been able to read {source} since {viewer.moment(found.trouble_at)}",
        STOPPED: f"The follower on {host} stopped at {since}{unread}",
        DIED: f"The follower on {host}, process {found.pid}, was killed; its last report is of {since}",
        HANGS: f"The follower on {host}, process {found.pid}, hangs; its last report is of {since}",
    }[found.state]


def _source(trouble: str | None) -> str:
    return re.sub(r"^The ", "the ", trouble or "")
