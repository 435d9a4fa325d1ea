# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Several reports of one run, of a playbook that imports more than one, as one. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.fleetops.agents.plugins.module_utils._rules.report import CATEGORIES
from console.text.json_values import listed, mapping

# What a report has by the name of an instance.
_BY_NAME = ("why", "disagreements", "bundles", "left_out")
_WORST_FIRST = ("fail", "inconclusive", "deferred", "pass")


def together(reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The reports as one: an instance that several name is in the category of the last one, and the verdict is the
    worst. Their lists must be whole."""
    category_of: dict[str, str] = {}
    by_name: dict[str, dict[str, Any]] = {key: {} for key in _BY_NAME}
    for report in reports:
        for category in CATEGORIES:
            for name in map(str, listed(report.get(category))):
                category_of[name] = category
                by_name["why"].pop(name, None)
                by_name["disagreements"].pop(name, None)
        for key, known in by_name.items():
            known |= mapping(report.get(key))
    found: dict[str, list[str]] = {category: [] for category in CATEGORIES}
    for name, category in sorted(category_of.items()):
        found[category].append(name)
    verdicts = [report.get("verdict") for report in reports]
    return {
        **found,
        "counts": {category: len(names) for category, names in found.items()},
        **by_name,
        "verdict": next((word for word in _WORST_FIRST if word in verdicts), "fail"),
        "reasons": [str(reason) for report in reports for reason in listed(report.get("reasons"))],
    }
