# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The targets selected on a page. Their ids are in the address; the chart and the table both show and change them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import streamlit as st

PARAMETER = "selected"

MOST = 100
"""An address with more ids than this is refused by some proxies; for more targets there are the window and filters."""

_LEFT_OUT = "selection_left_out"
_CHANGES = "selection_changes"


def selected() -> tuple[str, ...]:
    """The ids in the address, without duplicates."""
    return tuple(dict.fromkeys(st.query_params.get_all(PARAMETER)))[:MOST]


def select(ids: Iterable[str]) -> None:
    """Make ``ids`` the selection; for a callback. :func:`left_out` counts those beyond ``MOST``."""
    unique = list(dict.fromkeys(ids))
    st.session_state[_LEFT_OUT] = max(0, len(unique) - MOST)
    force_new_chart()
    if unique:
        st.query_params[PARAMETER] = unique[:MOST]
    elif PARAMETER in st.query_params:
        del st.query_params[PARAMETER]


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
