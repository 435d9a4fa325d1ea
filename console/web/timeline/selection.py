# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The targets selected on a page: one choice, kept in the address, that chart and table both show and both change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import streamlit as st

from console.web.timeline import stale_requests

PARAMETER = "selected"

MOST = 100
"""More ids than this make an address that proxies refuse; a window or a filter is for them."""

_LEFT_OUT = "selection_left_out"
_CHANGES = "selection_changes"
_ELSEWHERE = "selection_elsewhere"


def selected() -> tuple[str, ...]:
    """The ids in the address, each once."""
    told = _told()
    _page, ids = stale_requests.meant(PARAMETER, (_page_of(), told))
    if ids != told:
        _write(ids)
    return ids


def select(ids: Iterable[str], *, ticked: bool = False) -> None:
    """Make ``ids`` the selection; for a callback. What does not fit is counted in :func:`left_out`.

    ticked: it was done in the table.
    """
    unique = list(dict.fromkeys(ids))
    st.session_state[_LEFT_OUT] = max(0, len(unique) - MOST)
    st.session_state[_ELSEWHERE] = elsewhere() + (not ticked)
    touch()
    stale_requests.changed(PARAMETER, (_page_of(), _told()), (_page_of(), tuple(unique[:MOST])))
    _write(unique[:MOST])


def _told() -> tuple[str, ...]:
    return tuple(dict.fromkeys(st.query_params.get_all(PARAMETER)))[:MOST]


def _page_of() -> str | None:
    """Of what the page is."""
    return st.query_params.get("id")


def _write(ids: Sequence[str]) -> None:
    if ids:
        st.query_params[PARAMETER] = list(ids)
    elif PARAMETER in st.query_params:
        del st.query_params[PARAMETER]


def touch() -> None:
    """Something else than the selection was changed in the chart: it is a new one all the same."""
    st.session_state[_CHANGES] = changes() + 1


def clear() -> None:
    """Select nothing."""
    select(())


def after_click(now: Sequence[str], clicked: Sequence[str]) -> list[str]:
    """The selection after a click or a box in the chart, as with the table's boxes: what was clicked is added; one
    target that was selected already is taken away."""
    if len(clicked) == 1 and clicked[0] in now:
        return [one for one in now if one != clicked[0]]
    return [*now, *clicked]


def after_boxes(now: Sequence[str], listed: Sequence[str], ticked: Sequence[str]) -> list[str]:
    """The selection after the table's boxes changed: of the targets ``listed`` those ``ticked``; others stay."""
    kept = [one for one in now if one not in set(listed) or one in set(ticked)]
    return [*kept, *ticked]


def left_out() -> int:
    """How many targets the last change could not take in."""
    return int(st.session_state.get(_LEFT_OUT, 0))


def changes() -> int:
    """How often the selection was changed in this session.

    A chart that carries it is a new one after each change, so that the same click again is an event again.
    """
    return int(st.session_state.get(_CHANGES, 0))


def elsewhere() -> int:
    """How often the selection was changed in this session, but in the table."""
    return int(st.session_state.get(_ELSEWHERE, 0))
