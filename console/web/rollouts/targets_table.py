# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of a rollout's targets: times, errors, a way to the instance, the selection it shares with the chart."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from console.text import times
from console.web.shared import columns, links, pages
from console.web.shared.status import status_cells, status_column
from console.web.timeline import selection, stale_requests

KEY = "targets"

# The table that was told its ticks, instead of telling them.
_TOLD = "targets_told"


def show(found: pd.DataFrame) -> None:
    """One page of ``queries.target_page``. A tick selects a target, a click on its instance opens that page."""
    ids = found["target_id"].tolist()
    key = _key()
    _tick(key, ids)
    longest = found["took_s"].max()
    full = float(longest) if longest and longest > 0 else 1.0
    frame = found.assign(
        open=[links.short(i) if i else "" for i in found["instance_id"]],
        state=status_cells(found["status"]),
        started=[times.moment(at) for at in found["started_at"]],
        waited=[times.duration(seconds) for seconds in found["waited_s"]],
        error=found["error"].where(found["unread"].isna(), "not a time: " + found["unread"].fillna("").astype(str)),
    )
    shown: dict[str, Any] = {
        "open": links.open_column("instance", f"{KEY}_open"),
        "host": columns.text("host", 240),
        "state": status_column(width=120),
        "started": columns.utc("started"),
        "took_s": st.column_config.ProgressColumn("took", format="%.0f s", min_value=0, max_value=full, width=150),
        "waited": columns.text("waited", 90),
        "error": columns.text("error", 420),
        "last_result_status": columns.text("last result", 100),
        "bundle_hash": columns.text("bundle", 110),
        "instance_id": columns.text("instance id", 280),
    }
    # What is not shown is not sent either: a page of 500 rows is most of what this page weighs.
    st.dataframe(
        frame[list(shown)],
        column_config=shown,
        hide_index=True,
        height="content" if len(frame) <= columns.MOST_ROWS else (columns.MOST_ROWS + 1) * columns.ROW,
        placeholder="",
        alt="Targets of the rollout",
        key=key,
        on_select=lambda: _ticked(key, ids),
        selection_mode="multi-row",
    )
    links.follow(f"{KEY}_open", pages.INSTANCE, found["instance_id"].fillna("").tolist())


def _key() -> str:
    """Another table after each change that was made elsewhere: what the browser then still tells of the one before is
    no will of the reader's."""
    return f"{KEY}_{selection.elsewhere()}"


def _tick(key: str, ids: list[str]) -> None:
    """Tick the rows that are selected, wherever that was done. The table itself knows rows by their number only."""
    chosen = set(selection.selected())
    rows = [row for row, target_id in enumerate(ids) if target_id in chosen]
    if _rows(key) != rows:
        if key in st.session_state:
            # Other rows have come under its ticks.
            stale_requests.changed(key, _rows(key), rows)
        st.session_state[_TOLD] = key
    if st.session_state.get(_TOLD) == key:
        # Each time: the browser can miss what only one of two quick answers tells it.
        st.session_state[key] = {"selection": {"rows": rows, "columns": [], "cells": []}}


def _ticked(key: str, ids: list[str]) -> None:
    rows = _rows(key)
    if key != _key() or stale_requests.meant(key, rows) != rows:
        return
    # What it knows by itself it is not told: that would take the keyboard's place in it away.
    st.session_state[_TOLD] = None
    ticked = [ids[row] for row in rows if row < len(ids)]
    selection.select(selection.after_boxes(selection.selected(), ids, ticked), ticked=True)


def _rows(key: str) -> list[int]:
    state = st.session_state.get(key) or {}
    return list(state.get("selection", {}).get("rows", []))
