# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The targets selected on a page. Their ids are in the address; the chart and the table both show and change them.

The session keeps them too: a request that the browser sent before it received a change still has the former address.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

PARAMETER = "selected"

MOST = 100
"""An address with more ids than this is refused by some proxies; for more targets there are the window and filters."""

_KEPT = "selection"
_LEFT_OUT = "selection_left_out"
_CHANGES = "selection_changes"


def selected() -> tuple[str, ...]:
    """The ids of the selected targets, without duplicates: those in the address on a first visit and after a link, Back
    or Forward, and otherwise those that the last change selected."""
    asked = _unique(st.query_params.get_all(PARAMETER))
    context, page = get_script_run_ctx(), st.query_params.get("id")
    of, kept = st.session_state.get(_KEPT, (None, ()))
    if of != page or (context is not None and context.is_history_navigation):
        st.session_state[_KEPT] = (page, asked)
        return asked
    if kept != asked:
        _put_in_address(kept)
    return kept


def select(ids: Iterable[str]) -> None:
    """Make ``ids`` the selection; for a callback. :func:`left_out` counts those beyond ``MOST``."""
    given = list(ids)
    unique = _unique(given)
    st.session_state[_LEFT_OUT] = len(set(given)) - len(unique)
    st.session_state[_KEPT] = (st.query_params.get("id"), unique)
    force_new_chart()
    _put_in_address(unique)


def _unique(ids: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(ids))[:MOST]


def _put_in_address(ids: tuple[str, ...]) -> None:
    if not ids:
        st.query_params.pop(PARAMETER, None)
    # Sent even if this changes nothing: the browser may not yet have received the change before this one.
    st.query_params.update({PARAMETER: ids} if ids else {})


def clear() -> None:
    """Select nothing."""
    select(())


def after_click(now: Sequence[str], clicked: Sequence[str]) -> list[str]:
    """The selection after a click or a box in the chart: the clicked targets are added, but a single target that was
    selected already is removed."""
    if len(clicked) == 1 and clicked[0] in now:
        return [one for one in now if one != clicked[0]]
    return [*now, *clicked]


def after_boxes(now: Sequence[str], listed: Sequence[str], ticked: Sequence[str]) -> list[str]:
    """The selection after the table's checkboxes changed: of the targets ``listed`` those ``ticked``; others stay."""
    kept = [one for one in now if one not in set(listed) or one in set(ticked)]
    return [*kept, *ticked]


def left_out() -> int:
    """How many targets the last change left out because of ``MOST``."""
    return int(st.session_state.get(_LEFT_OUT, 0))


def force_new_chart() -> None:
    """Replace the chart at the next draw, because the browser reports the same click again only in a new chart."""
    st.session_state[_CHANGES] = changes() + 1


def changes() -> int:
    """How often the selection or the window was changed in this session; part of the chart's key."""
    return int(st.session_state.get(_CHANGES, 0))
