# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of a rollout's targets: times, errors, a button to the instance, checkboxes for the selection."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from console.web.browser import navigation
from console.web.shared import columns, links, pages
from console.web.timeline import selection

KEY = "targets"

# The number of the present table in its key, and whether its checkboxes were set by the page and not by the user.
_NUMBER, _PRESET = "targets_table", "targets_table_preset"
_BUTTONS = "targets_open"


def show(found: pd.DataFrame) -> None:
    """One page of ``rollouts.target_page``. A checkbox selects a target, the instance's button opens its page."""
    ids = found["target_id"].tolist()
    key = _key(ids)
    longest = found["took_s"].max()
    full = float(longest) if longest and longest > 0 else 1.0
    not_read = "not a time: " + found["unread"].fillna("").astype(str)
    took = st.column_config.ProgressColumn("took", format="%.0f s", min_value=0, max_value=full, width=150)
    button = st.column_config.ButtonColumn("instance", type="tertiary", key=_BUTTONS, alignment="left")
    shown = [
        columns.Column("open", [links.short(one) if one else "" for one in found["instance_id"]], button),
        columns.text(found["host"], "host", 240),
        columns.statuses(found["status"], width=120),
        columns.moments(found["started_at"], "started"),
        columns.Column("took_s", found["took_s"], took),
        columns.durations(found["waited_s"], "waited", 90),
        columns.text(found["error"].where(found["unread"].isna(), not_read), "error", 420),
        columns.text(found["last_result_status"], "last result", 100),
        columns.text(found["bundle_hash"], "bundle", 110),
        columns.text(found["instance_id"], "instance id", 280),
    ]
    columns.show(
        "Targets of the rollout",
        shown,
        key,
        on_select=lambda: _ticked(key, ids),
        selection_mode="multi-row",
    )
    click = st.session_state.get(_BUTTONS)
    if click is not None and 0 <= click.row < len(found) and found["instance_id"].iloc[click.row]:
        navigation.go(pages.INSTANCE, found["instance_id"].iloc[click.row], _BUTTONS)


def go_to(found: pd.DataFrame) -> None:
    """A select box that opens the page of an instance. Unlike the buttons of the table it works with the keyboard."""
    known = found[found["instance_id"].notna()]
    hosts = dict(zip(known["instance_id"], known["host"], strict=True))
    chosen = st.selectbox(
        "Open an instance of this list",
        list(hosts),
        format_func=lambda one: hosts[one],
        index=None,
        placeholder="Open an instance",
        label_visibility="collapsed",
        key="go_to_instance",
        width=230,
    )
    if chosen is not None:
        navigation.go(pages.INSTANCE, chosen, "go_to_instance")


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
