# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The views that an address can mean: which pages there are beside the first one, and the parameters that each reads.

A view is kept as text in a browser while its visitor signs in, so what comes back is checked as a stranger's. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

PARAMETERS: dict[str, tuple[str, ...]] = {
    "rollouts": ("rollouts_status", "rollouts_scope", "rollouts_q", "rollouts_page"),
    "compare": ("a", "b", "compare_kind", "compare_sort", "compare_q", "compare_page"),
    "runs": ("runs_status", "runs_q", "runs_page"),
    "instances": (
        *("instances_health", "instances_only", "instances_status", "instances_sort", "instances_q"),
        "instances_page",
    ),
    "audit": (
        *("span", "per", "by", "instance", "audit_source", "audit_tool_name", "audit_role", "audit_server_slug"),
        *("audit_outcome", "audit_when", "audit_page", "coverage_page"),
    ),
    "actions": ("acted_status", "acted_q", "acted_page"),
    "policy": ("tenant",),
    "record": ("troubles_page",),
    "instance": ("id", "span", "deploys_page", "actions_page"),
    "rollout": (
        *("id", "selected", "selected_only", "rows", "axis", "window", "why", "slowest"),
        *("targets_status", "targets_q", "sort", "targets_page"),
    ),
    "run": (
        *("id", "rows", "axis", "window", "beside", "details", "batch", "grid_q", "grid_page"),
        *("results_status", "results_q", "results_page"),
    ),
}
"""By the page's name in the address, which is also its script's."""

MOST = 8000
"""Characters of a view as text; the longest selection needs half of them."""


@dataclass(frozen=True)
class View:
    """A page by its name in PARAMETERS, and what its address asks of it: lists of values by parameter."""

    page: str
    query: Mapping[str, list[str]]

    @property
    def script(self) -> str:
        """The page's script, as Streamlit knows it."""
        return f"app_pages/{self.page}.py"

    def text(self) -> str:
        """The view for :func:`read`; '' when it is longer than MOST."""
        text = json.dumps({"page": self.page, "query": dict(self.query)})
        return text if len(text) <= MOST else ""


def view(page: str, query: Mapping[str, Iterable[str]]) -> View | None:
    """The view of an address, without the parameters that its page does not read; None for the first page."""
    if page not in PARAMETERS:
        return None
    return View(page, {name: list(values) for name, values in query.items() if name in PARAMETERS[page]})


def read(text: object) -> View | None:
    """The view that was kept as ``text``; None for all that is none. Never raises."""
    if not isinstance(text, str) or len(text) > MOST:
        return None
    try:
        kept = json.loads(text)
    except (ValueError, RecursionError):
        return None
    page, query = (kept.get("page"), kept.get("query")) if isinstance(kept, dict) else (None, None)
    if not isinstance(page, str) or not isinstance(query, dict) or not all(map(_values, query.values())):
        return None
    return view(page, query)


def _values(found: object) -> bool:
    """Whether these are the values of a parameter: texts that can stand in an address."""
    return isinstance(found, list) and all(isinstance(value, str) and _is_unicode(value) for value in found)


def _is_unicode(value: str) -> bool:
    # JSON can write half of a surrogate pair.
    return not any("\ud800" <= sign <= "\udfff" for sign in value)
