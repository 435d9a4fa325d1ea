# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of a rollout's targets: times, errors, a button to the instance, checkboxes for the selection."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from console.text import times
from console.web.shared import columns, links, pages
from console.web.shared.status import status_cells, status_column
from console.web.timeline import selection

KEY = "targets"

# The number of the present table in its key, and whether its checkboxes were set by the page and not by the user.
_NUMBER, _PRESET = "targets_table", "targets_table_preset"


def show(found: pd.DataFrame) -> None:
    """One page of ``rollouts.target_page``. A checkbox selects a target, the instance's button opens its page."""
    ids = found["target_id"].tolist()
    key = _key(ids)
    longest = found["took_s"].max()
    full = float(longest) if longest and longest > 0 else 1.0
    frame = found.assign(
        open=[links.short(i) if i else "" for i in found["instance_id"]],
        state=status_cells(found["status"]),
        started=columns.moments(found["started_at"]),
        waited=[times.duration(seconds) for seconds in found["waited_s"]],
        error=found["error"].where(found["unread"].isna(), "not a time: " + found["unread"].fillna("").astype(str)),
    )
    shown: dict[str, Any] = {
        "open": links.open_column("instance", f"{KEY}_open"),
        "host": columns.text("host", 240),
        "state": status_column(width=120),
        "started": columns.time_column("started"),
        "took_s": st.column_config.ProgressColumn("took", format="%.0f s", min_value=0, max_value=full, width=150),
        "waited": columns.text("waited", 90),
        "error": columns.text("error", 420),
        "last_result_status": columns.text("last result", 100),
        "bundle_hash": columns.text("bundle", 110),
        "instance_id": columns.text("instance id", 280),
    }
    # Only the columns shown are sent: a table of 500 rows is the largest part of the page's data.
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


def _key(ids: list[str]) -> str:
    """The table's key: a new one, with its checkboxes set, if those of the present table differ from the selection.

    A table knows its rows by number only. While the user ticks rows the table stays, with its keyboard focus.
    """
    chosen = set(selection.selected())
    rows = [row for row, target_id in enumerate(ids) if target_id in chosen]
    number = int(st.session_state.get(_NUMBER, 0))
    if _rows(f"{KEY}_{number}") != rows:
        number += 1
        st.session_state[_NUMBER], st.session_state[_PRESET] = number, True
    key = f"{KEY}_{number}"
    if st.session_state.get(_PRESET):
        # At each draw until the user ticks a row: of two draws in quick succession the browser may get only the second.
        st.session_state[key] = {"selection": {"rows": rows, "columns": [], "cells": []}}
    return key


def _ticked(key: str, ids: list[str]) -> None:
    st.session_state[_PRESET] = False
    ticked = [ids[row] for row in _rows(key) if row < len(ids)]
    selection.select(selection.after_boxes(selection.selected(), ids, ticked))


def _rows(key: str) -> list[int]:
    state = st.session_state.get(key) or {}
    return list(state.get("selection", {}).get("rows", []))
