# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTML for the pages: links, badges, bars and tables, styled by console.css in this folder. Text is always escaped.

Streamlit draws its tables on a canvas: their cells cannot be links, and they scroll sideways on a phone. The tables
of this module are for lists of up to a few hundred rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pandas as pd
import streamlit as st
from markupsafe import Markup, escape

from ansible_collections.fleetops.agents.plugins.module_utils._rules.printable import printable
from console.text import times
from console.text.listing import records
from console.text.statuses import style_of
from console.web import pages
from console.web.pages import Page
from console.web.shared import links, viewer

CSS = Path(__file__).with_name("console.css")
NOTHING = Markup("")


def draw(*parts: Markup) -> None:
    """Draw parts on the page, in the colours of the viewer's theme. Characters that would change the direction of text
    are shown as escapes, as on the command line."""
    st.html(printable(Markup('<div class="fo fo-{}">{}</div>').format(viewer.theme(), joined(parts))))


def joined(parts: Iterable[Markup | str], between: str = "") -> Markup:
    """The parts that are not empty, one after another."""
    return escape(between).join(part for part in parts if part)


def address(page: Page, /, **parameters: Any) -> str:
    """The address of a page with parameters. None and '' are left out; the name is repeated for each item of a list."""
    kept = {name: value for name, value in parameters.items() if value not in (None, "", ())}
    # The first page has no name in the address.
    name = "" if page is pages.OVERVIEW else page.name
    return f"./{name}" + (f"?{urlencode(kept, doseq=True)}" if kept else "")


def link(label: str | Markup, page: Page, /, **parameters: Any) -> Markup:
    return _linked(label, address(page, **parameters))


def instance(host: str, instance_id: str | None = None) -> Markup:
    """A link to the page of an instance, by its id if that is known."""
    return link(host, pages.INSTANCE, id=instance_id or host)


def instances(hosts: Iterable[str], total: int, ids: Iterable[str | None]) -> Markup:
    """Links to the pages of instances, followed by how many of the total are not listed. ids: of each, None if it is
    not known."""
    shown = [instance(host, instance_id) for host, instance_id in zip(hosts, ids, strict=True)]
    more = f" and {total - len(shown):,} more" if total > len(shown) else ""
    return joined((joined(shown, ", "), more))


def operation(label: str | Markup, key: str) -> Markup:
    return link(label, pages.OPERATION, id=key)


def small(text: str | Markup) -> Markup:
    """Text in the size and colour of a caption."""
    return Markup('<span class="fo-small">{}</span>').format(text) if text else NOTHING


def strong(text: str | Markup) -> Markup:
    return Markup("<strong>{}</strong>").format(text)


def paragraph(*parts: Markup | str, between: str = " ") -> Markup:
    """A line of text that wraps."""
    return Markup('<p class="fo-line">{}</p>').format(joined(parts, between))


def preformatted(text: str) -> Markup:
    """A message with its line breaks."""
    return Markup('<p class="fo-line fo-message">{}</p>').format(text)


def badge(status: str, word: str = "") -> Markup:
    """A status as a badge with its sign and its word."""
    style = style_of(status)
    return Markup('<span class="fo-badge fo-{}"><span aria-hidden="true">{}</span> {}</span>').format(
        style.tone.badge, style.tone.sign, word or style.word
    )


def head(*parts: Markup) -> Markup:
    """The first line of a card. A part with the class fo-end is aligned right."""
    return Markup('<div class="fo-head">{}</div>').format(joined(parts))


def card(status: str, *parts: Markup) -> Markup:
    """A box whose edge has the colour of a status."""
    return Markup('<section class="fo-card fo-edge-{}">{}</section>').format(style_of(status).tone.badge, joined(parts))


def strip(figures: Mapping[str, Markup | str | int]) -> Markup:
    """Figures side by side, each below its label; they wrap on a narrow screen."""
    cells = (
        Markup('<div>{}<div class="fo-figure">{}</div></div>').format(
            small(name), figure if isinstance(figure, str) else f"{figure:,}"
        )
        for name, figure in figures.items()
    )
    return Markup('<div class="fo-strip fo-figures">{}</div>').format(joined(cells))


@dataclass(frozen=True)
class Segment:
    """A part of a bar: its status, its count, its label, and the address of its link ('' for no link)."""

    status: str
    count: int
    word: str
    href: str = ""


def stacked_bar(segments: Sequence[Segment], label: str) -> Markup:
    """A stacked bar. A part that is not empty is at least 3 pixels wide. label: its text for screen readers."""
    parts = joined(
        Markup('<span class="fo-part fo-fill-{}" style="flex-grow:{}" title="{} {}"></span>').format(
            part.status.replace(" ", "_"), part.count, f"{part.count:,}", part.word
        )
        for part in segments
        if part.count
    )
    return Markup('<div class="fo-bar" role="img" aria-label="{}">{}</div>').format(label, parts)


def legend(segments: Sequence[Segment]) -> Markup:
    """The parts of a bar as text with their colours, linked if they have an address."""
    return Markup('<div class="fo-legend">{}</div>').format(
        joined(
            Markup('<span class="fo-key"><span class="fo-sample fo-fill-{}"></span>{}</span>').format(
                part.status.replace(" ", "_"), _linked(f"{part.count:,} {part.word}", part.href)
            )
            for part in segments
        )
    )


def _linked(text: str | Markup, href: str) -> Markup:
    if not href:
        return escape(text)
    return Markup('<a class="fo-link" href="{}" target="_self">{}</a>').format(href, text)


@dataclass(frozen=True)
class Column:
    """A column of a table. cell: returns the text or markup for a row. kind: classes of console.css without "fo-", for
    example 'number' (aligned right), 'time' (in the shown zone, which the header names) and 'rest' (hidden on a narrow
    screen); '' for text. sort: its name in the address as the sort order; '' if the table cannot be sorted by it."""

    title: str
    cell: Callable[[Any], Markup | str]
    kind: str = ""
    sort: str = ""


def text(title: str, name: str, kind: str = "") -> Column:
    """A column of text. Like the columns below, it shows the value ``name`` of each row; an unknown value is empty."""
    return Column(title, lambda row: row[name] if pd.notna(row[name]) else "", kind)


def count(title: str, name: str, kind: str = "number") -> Column:
    return Column(title, lambda row: f"{int(row[name]):,}" if pd.notna(row[name]) else "", kind)


def duration(title: str, name: str, kind: str = "number fo-rest", sort: str = "") -> Column:
    return Column(title, lambda row: times.duration(row[name]), kind, sort)


def when(title: str, name: str, kind: str = "time") -> Column:
    """A column of times, in which 'yesterday', 'today' and 'tomorrow' replace the date."""
    return Column(title, lambda row: viewer.when(row[name]), kind)


def moment(title: str, name: str, kind: str = "time", sort: str = "") -> Column:
    """A column of times, with date and seconds."""
    return Column(title, lambda row: viewer.clock_time(row[name]), kind, sort)


def status(title: str, name: str, missing: Markup | str = "", kind: str = "") -> Column:
    """A column of statuses as badges. missing: shown if there is no status."""
    return Column(title, lambda row: badge(row[name]) if row[name] and pd.notna(row[name]) else missing, kind)


def host(sort: str = "") -> Column:
    """A column of links to the pages of instances. A row has a host, and an instance_id or None."""
    return Column("host", lambda row: instance(row["host"], row["instance_id"]), "host", sort)


def linked(title: str, label: Callable[[Any], str], page: Page, name: str) -> Column:
    """A column of links to a page for the id ``name`` of each row. label: returns the label for a row."""
    return Column(title, lambda row: link(label(row), page, id=row[name]), "host")


def short_id(name: str) -> Column:
    return Column("id", lambda row: links.short(row[name]), "short fo-rest")


def table(
    columns: Sequence[Column],
    rows: pd.DataFrame | Iterable[Any],
    label: str,
    sorted_by: str = "",
    sorts: Any = None,
) -> Markup:
    """A table. rows: of any type, or a frame, whose rows the columns get as dicts. label: its name for screen readers.

    sorted_by: the current sort order ('-name' for descending). sorts: returns the address of the page in another order.
    """
    listed = records(rows) if isinstance(rows, pd.DataFrame) else rows
    head = joined(_header(column, sorted_by, sorts) for column in columns)
    # Concatenated, because Markup.format for each cell would take longer than the rest of the page.
    begins = [(Markup('<td class="fo-{}">').format(column.kind or "text"), column.cell) for column in columns]
    end = Markup("</td>")
    lines = (joined(begin + escape(cell(row)) + end for begin, cell in begins) for row in listed)
    body = joined(Markup("<tr>{}</tr>").format(line) for line in lines)
    return Markup(
        '<div class="fo-scroll" tabindex="0" role="region" aria-label="{}">'
        '<table class="fo-table"><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>'
    ).format(label, head, body)


def _header(column: Column, sorted_by: str, sorts: Any) -> Markup:
    name = f"{column.title} ({viewer.zone_word()})" if "time" in column.kind.split() else column.title
    title: Markup | str = name
    order = ""
    if column.sort and sorts is not None:
        down = sorted_by == column.sort
        order = {column.sort: "ascending", f"-{column.sort}": "descending"}.get(sorted_by, "")
        sign = {"ascending": " ↑", "descending": " ↓"}.get(order, "")
        title = _linked(name + sign, sorts(f"-{column.sort}" if down else column.sort))
    return Markup('<th scope="col" class="fo-{}"{}>{}</th>').format(
        column.kind or "text", Markup(' aria-sort="{}"').format(order) if order else NOTHING, title
    )


def pairs(rows: Iterable[tuple[str, Markup | str]]) -> Markup:
    """Names and values, one pair per line; pairs without a value are left out."""
    return Markup('<dl class="fo-pairs">{}</dl>').format(
        joined(Markup("<dt>{}</dt><dd>{}</dd>").format(name, value) for name, value in rows if value)
    )
