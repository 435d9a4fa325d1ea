# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The furniture that all pages share: reading with a cache, freshness, statuses, links, empty states, live refresh.

Machine text (host names, errors, ids, task names) goes through st.text, st.code or a table, never through markdown.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from console import charts, live, queries, way_on
from console.palette import LOOKS, look
from console.settings import Settings, SettingsError, load_settings
from console.zone import known, local

T = TypeVar("T")
P = ParamSpec("P")

OVERVIEW, ROLLOUTS, ROLLOUT = "app_pages/overview.py", "app_pages/rollouts.py", "app_pages/rollout.py"
COMPARE = "app_pages/compare.py"
INSTANCES, INSTANCE, POLICY = "app_pages/instances.py", "app_pages/instance.py", "app_pages/policy.py"
RUNS, RUN, AUDIT = "app_pages/runs.py", "app_pages/run.py", "app_pages/audit.py"
ACTED = "app_pages/actions.py"


def settings() -> Settings:
    """The console's settings; a wrong one is said on the page, which ends there."""
    try:
        return load_settings()
    except SettingsError as error:
        problem("A setting is wrong", str(error))
        st.stop()


@contextmanager
def database() -> Iterator[None]:
    """Around everything that reads: what is wrong with the database becomes one sentence on the page."""
    try:
        yield
    except queries.NoDatabase as error:
        empty("Nothing here yet", str(error), [queries.SYNC, "make demo"])
    except queries.DatabaseProblem as error:
        problem("The database cannot be read", str(error))


def problem(title: str, sentence: str) -> None:
    """An error of the page as a whole."""
    with st.container(border=True):
        st.badge(title, icon=":material/error:", color="red")
        st.text(sentence)


def empty(title: str, sentence: str, commands: Sequence[str]) -> None:
    """What to do where there is nothing to show."""
    with st.container(border=True):
        st.markdown(f"**{title}**")
        st.text(sentence)
        for command in commands:
            if command == queries.SYNC:
                to_sync(command)
            else:
                st.code(command, language="bash")


@st.cache_data(max_entries=200, ttl=3600, show_spinner=False)
def _read(name: str, path: str, stamp: tuple[int, ...], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return getattr(queries, name)(Path(path), *args, **kwargs)


def ask(query: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Run a function of ``queries``; its answer is kept until the database changes."""
    path = settings().database
    answer: T = _read(query.__name__, str(path), queries.stamp(path), args, kwargs)
    return answer


def freshness(tenant: str = "") -> queries.Freshness:
    """How fresh the data is, as a line on the page: of one tenant, or of the one that was read longest ago."""
    fresh = ask(queries.freshness)
    read = [look.at for look in fresh.looks if look.tenant == tenant and look.at is not None]
    read = read or [at for at, look in fresh.read if not tenant]
    oldest = f", the oldest of {len(read):,} tenants" if read and read[0] != read[-1] else ""
    looks = [("API data", read[0], oldest)] if read else []
    looks += [("run logs", fresh.runs_at, "")] if fresh.runs_at is not None else []
    parts = [f"{name} as of {charts.moment(at)} UTC ({ago(at)}{more})" for name, at, more in looks] or ["never synced"]
    if fresh.copied_at is not None:
        parts.insert(0, f"Copy of {charts.moment(fresh.copied_at, '%Y-%m-%d %H:%M')} UTC")
    there = [f"{name} as of {local_time(at)}" for name, at, _more in looks if local_time(at)]
    st.caption(" · ".join(parts), help=" · ".join(there) or None)
    return fresh


def is_copy() -> bool:
    """Whether the database is a copy for review, into which nothing is synced."""
    try:
        return ask(queries.freshness).copied_at is not None
    except queries.DatabaseProblem:
        # The page's body says it.
        return False


def to_sync(command: str) -> None:
    """A command that syncs; nothing where the database is a copy, which would refuse it."""
    if not is_copy():
        st.code(command, language="bash")


def ago(at: float) -> str:
    """How long ago, in words."""
    seconds = time.time() - at
    return "just now" if seconds < 10 else f"{charts.duration(seconds)} ago"


def clock() -> float:
    """The present, in whole seconds."""
    return float(int(time.time()))


def refreshing(body: Callable[[], None], is_open: Callable[[], bool]) -> None:
    """Draw ``body``; draw it again every few seconds while ``is_open()`` and the tab is visible."""
    live.refreshing(body, is_open)


def theme() -> str:
    """'light' or 'dark', as the browser shows the page."""
    return "dark" if st.context.theme.type == "dark" else "light"


def viewer_zone() -> str:
    """The viewer's time zone as the browser names it; '' for UTC, or a name that the time zone database has not."""
    return known(st.context.timezone)


def local_time(*moments: float | None) -> str | None:
    """Moments in the viewer's zone, as the help of an element that writes them in UTC; None where UTC says it all."""
    return local(viewer_zone(), *moments) or None


def chart(figure_json: str, alt: str, key: str) -> None:
    """Draw a figure kept as JSON: a figure object out of a cache would be sent anew on every run."""
    figure = json.loads(figure_json)
    st.plotly_chart(
        figure,
        key=key,
        # Said outright, the place is kept free while the chart loads.
        height=figure["layout"]["height"],
        alt=alt,
        config={"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"]},
    )


def to_json(figure: go.Figure) -> str:
    """A figure as JSON, for a cache. Left is Plotly's own template: Plotly puts it back in when the figure is drawn."""
    # Read back from JSON it would be checked piece by piece, 20 ms at each run of the page.
    figure.layout.template = None
    text: str = figure.to_json()
    return text


def something_open(rollout_id: str = "", run_id: str = "") -> bool:
    """Whether the page shows something that may still change: anything at all, one rollout, or one run."""
    try:
        if rollout_id:
            found = ask(queries.rollout, rollout_id) or {}
            return bool(found.get("is_open")) and found["tenant"] not in ask(queries.freshness).retired
        if run_id:
            return (ask(queries.run, run_id) or {}).get("status") == "running"
        return ask(queries.freshness).open_work
    except queries.DatabaseProblem:
        # The page's body says it.
        return False


# Statuses


def badge(status: str) -> None:
    """A status as a coloured badge with its sign; a word nobody knows as plain text."""
    if status in LOOKS:
        style = look(status)
        st.badge(style.word, icon=style.tone.icon, color=style.tone.badge)  # type: ignore[arg-type]
    else:
        st.text(look(status).label)


def status_cells(words: Iterable[str]) -> pd.Series:
    """Status words as cells for :func:`status_column`."""
    return pd.Series([[look(word).label] for word in words], dtype=object)


def status_column(title: str = "status", width: Any = None) -> Any:
    """A table column of statuses: coloured badges with sign and word."""
    styles = {style.label: style.tone.badge for style in LOOKS.values()}
    return st.column_config.MultiselectColumn(title, options=list(styles), color=list(styles.values()), width=width)


def status_filter(of: str, options: Sequence[str], label: str = "Status") -> list[str]:
    """Pills to choose statuses; the choice is in the URL, in the words on the pills. None chosen means all.

    ``of``: what is listed. It names the filters in the URL, so that those of one page never filter the next one.
    """
    words = {look(status).word: status for status in options}
    chosen = st.pills(label, list(words), selection_mode="multi", key=f"{of}_status", bind="query-params")
    return [words[word] for word in chosen]


def search_box(of: str, label: str) -> str:
    """A search as one types; in the URL."""
    return st.text_input(label, type="search", key=f"{of}_q", bind="query-params", live=True, width=280) or ""


# Links, ids, numbers


def short(identifier: str) -> str:
    """The first signs of an id, safe in a heading."""
    return re.sub(r"[^\w-]", "", identifier)[:8] or "?"


def wanted_id() -> str:
    """The id in the page's address, '' without one."""
    return str(st.query_params.get("id", "")).strip()


def open_column(title: str, key: str) -> Any:
    """A table column of buttons that open the row's page; its cells hold the buttons' labels."""
    return st.column_config.ButtonColumn(title, type="tertiary", key=key, alignment="left")


def follow(key: str, page: str, ids: Sequence[str]) -> None:
    """Go where a click in :func:`open_column` leads."""
    click = st.session_state.get(key)
    if click is not None and 0 <= click.row < len(ids):
        way_on.go(page, ids[click.row], key)


def go_to(what: str, page: str, ids: Sequence[str], names: Sequence[str]) -> None:
    """A box that opens the page of one of the listed, by typing a part of its name: the buttons in a table answer a
    pointer only. what: the word for one of them, which names the box."""
    one = f"a{'n' if what[0] in 'aeiou' else ''} {what}"
    place = st.selectbox(
        f"Open {one} of this list",
        range(len(ids)),
        format_func=lambda row: names[row],
        index=None,
        placeholder=f"Open {one}",
        label_visibility="collapsed",
        key=f"go_to_{what}",
        width=230,
    )
    if place is not None:
        way_on.go(page, ids[place], f"go_to_{what}")


def metrics(values: Sequence[tuple[str, str]]) -> None:
    """Boxes of figures side by side, wrapping on a narrow screen."""
    with st.container(horizontal=True, gap="small"):
        for name, value in values:
            st.metric(name, literal(value), border=True, width=max(150, 40 + 12 * len(value)))


def literal(text: str) -> str:
    """Machine text for a place where Streamlit reads Markdown: as code, unless it is a figure or plain words."""
    if not text or (re.fullmatch(r"[^\W_]+([ .,+%-]+[^\W_]+)*[ %]*", text) and "www." not in text.lower()):
        return text
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence} {text} {fence}"


def line(*parts: str, moments: Sequence[float | None] = ()) -> None:
    """One quiet line of machine text, empty parts left out. moments: those it writes, for the zone on hover."""
    st.text(" · ".join(part for part in parts if part), help=local_time(*moments))


def paged(of: str, fetch: Callable[[int], tuple[pd.DataFrame, int]], size: int) -> tuple[pd.DataFrame, int]:
    """The rows of the page that the address names, and how many rows there are; :func:`pager` changes the page."""
    wanted = str(st.session_state.get(f"{of}_page") or st.query_params.get(f"{of}_page", "1"))
    # Nine digits are more pages than any list has, and fewer than the database can count.
    page = int(wanted[:9]) if wanted.isdecimal() else 1
    found, total = fetch(max(1, page))
    if page > 1 and not len(found) and total:
        # The filters left fewer pages than the address asks for.
        found, total = fetch(-(-total // size))
    return found, total


def pager(of: str, total: int, size: int) -> None:
    """The control that turns the pages; only where there is more than one."""
    count = -(-total // size)
    if count > 1:
        st.pagination(count, key=f"{of}_page", bind="query-params")


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a short frame."""
    return [{str(name): value for name, value in record.items()} for record in frame.to_dict("records")]


def row() -> DeltaGenerator:
    """A horizontal container whose parts stand on one line and wrap on a narrow screen."""
    return st.container(horizontal=True, vertical_alignment="center", gap="small")
