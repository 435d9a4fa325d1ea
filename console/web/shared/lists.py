# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a list: search, filters, statuses, lines of text, metrics."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import PurePath
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from console.record.read.operation_facts import rollout_name
from console.text import times
from console.text.counts import counted
from console.text.period import EXAMPLES, PeriodError, parse
from console.text.statuses import STYLES, style_of
from console.web.shared import viewer

Shown = Callable[[str], str]


def search_box(of: str, label: str, name: str = "q", width: int = 280) -> str:
    """A search box that searches while the user types; its text is in the URL, as are the choices below."""
    return st.text_input(label, type="search", key=f"{of}_{name}", bind="query-params", live=True, width=width) or ""


def several_of(label: str, options: Iterable[str], key: str, width: int, shown: Shown = str) -> list[str]:
    """A narrow box to choose some of the options; no choice means all. shown: an option as the box and the URL name
    it."""
    return st.multiselect(label, list(options), placeholder="all", width=width, **_bound(key, shown))


def pills(label: str, options: Iterable[str], key: str, shown: Shown = str, meanings: str | None = None) -> list[str]:
    """As :func:`several_of`, side by side. meanings: of the options, as help."""
    return st.pills(label, list(options), selection_mode="multi", help=meanings, **_bound(key, shown))


def one_of(label: str, options: Iterable[str], key: str, width: int, shown: Shown = str) -> str | None:
    """A narrow box to choose one of the options, or None for all. shown: as of :func:`several_of`."""
    return st.selectbox(label, list(options), index=None, placeholder="all", width=width, **_bound(key, shown))


def _bound(key: str, shown: Shown) -> dict[str, Any]:
    return {"format_func": shown, "key": key, "bind": "query-params"}


def containing(frame: pd.DataFrame, search: str, first: str, second: str) -> pd.DataFrame:
    """The rows with a text in one of two columns, in capital or small letters; all rows for ''."""
    if not search:
        return frame
    text = frame[first].fillna("") + "\n" + frame[second].fillna("")
    return frame[text.str.contains(search, case=False, regex=False)]


def choice(label: str, options: Iterable[str], key: str, default: str = "", *, labelled: bool = True) -> str:
    """A choice of one option side by side, by default the first."""
    listed = list(options)
    chosen = st.segmented_control(
        label,
        listed,
        default=default or listed[0],
        required=True,
        label_visibility="visible" if labelled else "collapsed",
        key=key,
        bind="query-params",
    )
    return chosen or default or listed[0]


def status_filter(of: str, options: Sequence[str], label: str = "Status", *, narrow: bool = False) -> list[str]:
    """Pills to choose statuses, or a narrow box; the URL has the words of the statuses. No choice means all.

    of: what is listed. It is part of the URL parameter, so that the filters of one page do not filter another one.
    """
    key = f"{of}_status"
    if narrow:
        return several_of(label, options, key, 170, _word)
    return pills(label, options, key, _word)


def _word(status: str) -> str:
    return style_of(status).word


def status_badge(status: str) -> None:
    """A status as a coloured badge with its sign, as it is not shown by colour alone; an unknown word as plain text."""
    style = style_of(status)
    if status in STYLES:
        st.badge(style.word, icon=style.tone.icon, color=style.tone.badge)  # type: ignore[arg-type]
    else:
        st.text(style.label)


def counted_of(count: int, total: int, what: str) -> str:
    """How many of all a filter leaves: '3 of 1,200 instances', or '1,200 instances' where it leaves all."""
    return counted(total, what) if count == total else f"{count:,} of {counted(total, what)}"


def playbook_name(path: str | None) -> str:
    """The playbook's file name."""
    return PurePath(path).name if path and pd.notna(path) else "unknown playbook"


def rollout_title(row: dict[str, Any]) -> str:
    """The name of a rollout by its scope, as a row of a frame has it."""
    return rollout_name(row["scope"] if pd.notna(row["scope"]) else None)


def row() -> DeltaGenerator:
    """A horizontal container that wraps on a narrow screen."""
    return st.container(horizontal=True, vertical_alignment="center", gap="small")


def line(*parts: str) -> None:
    """One line of text from its non-empty parts."""
    st.text(" · ".join(part for part in parts if part))


def shell(commands: str) -> None:
    """Commands to copy. They wrap, and have one colour: those that Streamlit gives to words of a shell are too pale."""
    st.code(commands, language=None, wrap_lines=True)


def literal(text: str) -> str:
    """Machine text where Streamlit reads Markdown: as code, unless it is only words, names and numbers."""
    # One underscore between two letters is no emphasis.
    if not text or (re.fullmatch(r"[^\W_]+((_|[ .,+%-]+)[^\W_]+)*[ %]*", text) and "www." not in text.lower()):
        return text
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence} {text} {fence}"


AROUND = 60.0
"""Seconds before and after a time that :func:`around` gives."""


def around(at: float) -> str:
    """The minutes around a time, as :func:`period` reads them, for every reader of a link."""
    first, last = (times.moment(edge, "%Y-%m-%d %H:%M") for edge in (at - AROUND, at + AROUND))
    return f"{first} to {last} UTC"


def _name_zone(key: str) -> None:
    """Add the zone to a text that means something else in UTC: whoever opens the link may have another one."""
    text, now = st.session_state[key] or "", viewer.clock()
    with suppress(PeriodError):
        if parse(text, now, viewer.shown_zone()) != parse(text, now):
            st.session_state[key] = f"{text.strip()} {viewer.shown_zone()}"


def period(of: str) -> tuple[float | None, float | None]:
    """The period that the viewer wrote, in epoch seconds, None for an open end. A text that is none shows why."""
    text = st.text_input(
        f"When ({viewer.zone_word()})",
        key=f"{of}_when",
        bind="query-params",
        on_change=_name_zone,
        args=(f"{of}_when",),
        placeholder="yesterday",
        help=EXAMPLES,
        width=190,
    )
    try:
        # In whole minutes, so that "last 2 h" asks the database anew once a minute only.
        return parse(text or "", viewer.clock() // 60 * 60, viewer.shown_zone())
    except PeriodError as error:
        st.text(str(error))
        return None, None
