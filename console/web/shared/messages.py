# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages that a page shows instead of its content, and the line that says how old its data is."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from console.record.opening import DatabaseProblem, NoDatabase
from console.record.read.freshness import DIED, RUNNING, STOPPED, Follower, follower, freshness
from console.settings.environment import load_settings
from console.settings.invocation import command_for
from console.web.pages import Page
from console.web.shared import cached, links, lists, markup, viewer


@contextmanager
def database() -> Iterator[None]:
    """Context manager for the body of a page: an error of the database becomes a message on the page."""
    try:
        yield
    except NoDatabase as error:
        empty("There is no data yet", str(error), ["sync", "make demo"])
    except DatabaseProblem as error:
        problem("The database cannot be read", str(error))


def problem(title: str, sentence: str) -> None:
    """Show an error, or a problem with the subject of the page."""
    markup.draw(markup.card("failed", markup.paragraph(markup.badge("failed", title), sentence)))


def not_found(title: str, what: str, identifier: str, page: Page, icon: str) -> None:
    """Show that the database does not contain the id. what: the singular noun for it. page: the list of all of them."""
    st.title(title)
    lists.line(f"The database has no {what} {identifier}." if identifier else f"No {what} is selected.")
    links.to(page, f"All {title.lower()}s", icon)


def empty(title: str, sentence: str, commands: Sequence[str] = ("sync",)) -> None:
    """Show that there is no data yet, and which commands to run. ``sync`` is the command of the console."""
    with st.container(border=True):
        st.markdown(f"**{title}**")
        st.text(sentence)
        for words in commands:
            # A copy cannot be synced.
            if words != "sync" or not cached.is_copy():
                lists.code(command(words) if words == "sync" else words)


def command(words: str) -> str:
    """A console command for the database that the pages show."""
    return command_for(load_settings().database, words)


def head(title: str, *statuses: str, tenant: str = "") -> DeltaGenerator:
    """Draw the title of a page in a row with its statuses and the age of the data, see :func:`data_as_of`. Returns the
    row, so that more can be added to it."""
    row = lists.row()
    with row:
        st.title(title, width="content")
        for status in statuses:
            lists.status_badge(status)
        data_as_of(tenant)
    return row


def data_as_of(tenant: str = "") -> None:
    """Show how old the data is, by default that of the tenant read longest ago, and the state of the follower."""
    fresh = cached.ask(freshness)
    read = [known.at for known in fresh.tenants if known.tenant == tenant and known.at is not None]
    read = read or [at for at, _tenant in fresh.read if not tenant]
    oldest = f", the oldest of {len(read):,} tenants" if read and read[0] != read[-1] else ""
    sources = [("API data", read[0], oldest)] if read else []
    sources += [("run logs", fresh.runs_at, "")] if fresh.runs_at is not None else []
    parts = [f"{name} as of {viewer.day_moment(at)} ({viewer.ago(at)}{more})" for name, at, more in sources] or [
        "never synced"
    ]
    # Unlike other results, not cached until the database changes, because a killed follower no longer changes it.
    following = follower(load_settings().database, time.time())
    if following is not None and (_is_well(following) or following.state == STOPPED):
        parts.insert(0, _follower_text(following))
    elif following is not None:
        st.caption(f":orange[:material/warning: {_follower_text(following)}]")
    if fresh.copied_at is not None:
        parts.insert(0, f"Copy made {viewer.moment(fresh.copied_at, '%Y-%m-%d %H:%M')}")
    with st.container(horizontal=True, vertical_alignment="center", gap="small", width="content"):
        st.caption(" · ".join(parts), width="content")
        viewer.zone_switch()


def _is_well(found: Follower) -> bool:
    """Whether a follower is running and can read all its sources."""
    return found.state == RUNNING and found.trouble is None


def _follower_text(found: Follower) -> str:
    """The state of a follower, as text without Markdown characters."""
    if _is_well(found):
        return "Following"
    host = re.sub(r"[^A-Za-z0-9.-]", "-", found.host)
    since = f"{viewer.moment(found.since)} ({viewer.ago(found.since)})"
    if found.state == RUNNING:
        return (
            f"The follower on {host} has not been able to read {found.unread} since {viewer.moment(found.trouble_at)}"
        )
    if found.state == STOPPED:
        unread = f"; it could not read {found.unread}" if found.unread else ""
        return f"The follower on {host} stopped at {since}{unread}"
    how = "was killed" if found.state == DIED else "does not respond"
    return f"The follower on {host}, process {found.pid}, {how}; its last report was at {since}"
