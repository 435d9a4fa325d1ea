# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a list: search, filters, statuses, lines of text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import PurePath
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from ansible_collections.fleetops.agents.plugins.module_utils._rules.printable import printable, printable_line
from console.record.read.operation_facts import rollout_name
from console.text import times
from console.text.counts import counted
from console.text.period import EXAMPLES, PeriodError, parse
from console.text.statuses import STYLES, style_of
from console.web.shared import viewer

FormatFunc = Callable[[str], str]


def search_box(prefix: str, label: str, name: str = "q", width: int = 240) -> str:
    """A box that searches while the user types. Its text is in the URL, as are the choices of the functions below."""
    key = f"{prefix}_{name}"
    return st.text_input(label, type="search", key=key, bind="query-params", live=True, width=width) or ""


def multiselect(label: str, options: Iterable[str], key: str, width: int, format_func: FormatFunc = str) -> list[str]:
    """A narrow box to choose any number of options; none means all. The URL contains the formatted options."""
    return st.multiselect(label, list(options), placeholder="all", width=width, **_bound(key, format_func))


def pills(
    label: str, options: Iterable[str], key: str, format_func: FormatFunc = str, meanings: str | None = None
) -> list[str]:
    """Like :func:`multiselect`, with the options side by side. meanings: the help text, which explains them."""
    return st.pills(label, list(options), selection_mode="multi", help=meanings, **_bound(key, format_func))


def selectbox(label: str, options: Iterable[str], key: str, width: int, format_func: FormatFunc = str) -> str | None:
    """A narrow box to choose one of the options, or None for all. The URL contains the formatted option."""
    return st.selectbox(label, list(options), index=None, placeholder="all", width=width, **_bound(key, format_func))


def _bound(key: str, format_func: FormatFunc) -> dict[str, Any]:
    return {"format_func": lambda option: printable(format_func(option)), "key": key, "bind": "query-params"}


def containing(frame: pd.DataFrame, search: str) -> pd.DataFrame:
    """The rows whose host or message contains a text, ignoring case; all rows if the text is empty."""
    if not search:
        return frame
    text = frame["host"].fillna("") + "\n" + frame["message"].fillna("")
    return frame[text.str.contains(search, case=False, regex=False)]


def choice(label: str, options: Iterable[str], key: str, default: str = "", *, labelled: bool = True) -> str:
    """A required choice of one option, with the options side by side; the first is the default."""
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


def status_filter(prefix: str, options: Sequence[str], label: str = "Status", *, narrow: bool = False) -> list[str]:
    """Pills, or a narrow box, to choose statuses; none means all. The URL contains their words.

    prefix: what is listed. The URL parameter begins with it, so that the filters of one page do not filter another.
    """
    box: Callable[..., list[str]] = partial(multiselect, width=170) if narrow else pills
    return box(label, options, key=f"{prefix}_status", format_func=lambda status: style_of(status).word)


def status_badge(status: str) -> None:
    """A status as a coloured badge with its sign, so that colour is not the only cue; an unknown word as plain text."""
    style = style_of(status)
    if status in STYLES:
        st.badge(style.word, icon=style.tone.icon, color=style.tone.badge)  # type: ignore[arg-type]
    else:
        st.text(style.label)


def counted_of(count: int, total: int, what: str) -> str:
    """How many entries match a filter: '3 of 1,200 instances', or '1,200 instances' if all match."""
    return counted(total, what) if count == total else f"{count:,} of {counted(total, what)}"


def playbook_name(path: str | None) -> str:
    return PurePath(path).name if path and pd.notna(path) else "unknown playbook"


def rollout_title(row: dict[str, Any]) -> str:
    """The name of a rollout, given a row with its scope."""
    return rollout_name(row["scope"] if pd.notna(row["scope"]) else None)


def row() -> DeltaGenerator:
    """A horizontal container that wraps on a narrow screen."""
    return st.container(horizontal=True, vertical_alignment="center", gap="small")


def line(*parts: str) -> None:
    """One line of text from its non-empty parts."""
    st.text(printable(" · ".join(part for part in parts if part)))


def code(text: str) -> None:
    """Commands or a message to copy. It wraps, and is not highlighted: Streamlit's colours for a shell are too pale."""
    st.code(printable(text), language=None, wrap_lines=True)


def literal(text: str) -> str:
    """Machine text for places that accept Markdown: as code, unless it contains only words, names and numbers."""
    # A line feed would end the code.
    text = printable_line(text)
    # A single underscore between two letters is not emphasis.
    if not text or (re.fullmatch(r"[^\W_]+((_|[ .,+%-]+)[^\W_]+)*[ %]*", text) and "www." not in text.lower()):
        return text
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence} {text} {fence}"


AROUND = 60.0
"""How many seconds :func:`around` adds before and after a time."""


def around(at: float) -> str:
    """The period around a time as text for :func:`period`, in UTC so that a link means the same to every reader."""
    first, last = (times.moment(edge, "%Y-%m-%d %H:%M") for edge in (at - AROUND, at + AROUND))
    return f"{first} to {last} UTC"


def _name_zone(key: str, text: str, zone: str) -> None:
    """Add its zone to a text that means something else in the shown zone than in UTC."""
    now = viewer.clock()
    with suppress(PeriodError):
        if parse(text, now, viewer.shown_zone()) != parse(text, now):
            st.session_state[key] = f"{text.strip()} {zone}"


def _typed(key: str) -> None:
    # Others may open the link in another zone.
    _name_zone(key, st.session_state[key] or "", viewer.shown_zone())


def period(prefix: str) -> tuple[float | None, float | None]:
    """The period that the viewer entered, in epoch seconds; None for an open end. For an invalid text, show why."""
    key = f"{prefix}_when"
    # A text without a zone is in UTC, even if the viewer has chosen another zone since it was typed or linked to.
    _name_zone(key, (st.session_state if key in st.session_state else st.query_params).get(key) or "", "UTC")
    text = st.text_input(
        f"When ({viewer.zone_word()})",
        key=key,
        bind="query-params",
        on_change=_typed,
        args=(key,),
        placeholder="yesterday",
        help=EXAMPLES,
        width=190,
    )
    try:
        # Rounded to minutes, so that "last 2 h" queries the database only once a minute.
        return parse(text or "", viewer.clock() // 60 * 60, viewer.shown_zone())
    except PeriodError as error:
        st.text(str(error))
        return None, None
