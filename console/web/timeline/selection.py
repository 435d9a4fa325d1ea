# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The targets selected on a page. Their ids are in the address. Chart and table both show and change the selection.

The session keeps them too, because a request that was sent before the browser received a change has the old address.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import streamlit as st

from console.web.browser import navigation

PARAMETER = "selected"

MAX_SELECTED = 100
"""Some proxies refuse an address with more ids than this. For more targets, use the window and the filters."""

_KEPT = "selection"
_LEFT_OUT = "selection_left_out"
_CHANGES = "selection_changes"


def selected() -> tuple[str, ...]:
    """The ids of the selected targets, without duplicates: on the first visit and after a link, Back or Forward, those
    in the address, otherwise those that the last change selected."""
    asked = _unique(st.query_params.get_all(PARAMETER))
    page = st.query_params.get("id")
    kept_page, kept = st.session_state.get(_KEPT, (None, ()))
    if kept_page != page or navigation.was_used():
        st.session_state[_KEPT] = (page, asked)
        return asked
    if kept != asked:
        _put_in_address(kept)
    return kept


def select(ids: Iterable[str]) -> None:
    """Make ``ids`` the selection; for callbacks. Those beyond ``MAX_SELECTED`` are left out."""
    given = list(ids)
    unique = _unique(given)
    st.session_state[_LEFT_OUT] = len(set(given)) - len(unique)
    st.session_state[_KEPT] = (st.query_params.get("id"), unique)
    force_new_chart()
    _put_in_address(unique)


def _unique(ids: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(ids))[:MAX_SELECTED]


def _put_in_address(ids: tuple[str, ...]) -> None:
    if not ids:
        st.query_params.pop(PARAMETER, None)
    # Sent even if this changes nothing, because the browser may not have received the previous change yet.
    st.query_params.update({PARAMETER: ids} if ids else {})


def after_click(now: Sequence[str], clicked: Sequence[str]) -> list[str]:
    """The selection after a click or a box in the chart: the clicked targets are added, but a single target that was
    already selected is removed."""
    if len(clicked) == 1 and clicked[0] in now:
        return [target_id for target_id in now if target_id != clicked[0]]
    return [*now, *clicked]


def after_boxes(now: Sequence[str], listed: Sequence[str], ticked: Sequence[str]) -> list[str]:
    """The selection after the table's checkboxes changed: of ``listed``, only those ``ticked``; others are kept."""
    unticked = set(listed) - set(ticked)
    return [*(target_id for target_id in now if target_id not in unticked), *ticked]


def left_out() -> int:
    """How many targets the last change left out because of ``MAX_SELECTED``."""
    return int(st.session_state.get(_LEFT_OUT, 0))


def force_new_chart() -> None:
    """Replace the chart in the next draw, because the browser reports the same click again only in a new chart."""
    st.session_state[_CHANGES] = changes() + 1


def changes() -> int:
    """How often the selection or the window has changed in this session; part of the chart's key."""
    return int(st.session_state.get(_CHANGES, 0))
