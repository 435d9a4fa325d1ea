# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every read of a source reports, whatever the source is."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(kw_only=True)
class Report:
    """``problems``: sentences about what could not be read; ``notes``: about what is not a failure but worth knowing.

    ``away``: why the source could not be read at all, '' if it could.
    """

    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    away: str = ""
