# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Needs attention: one card for each cause, worst first, with a link to the page on which to act on it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st
from markupsafe import Markup

from console.record.read import attention as queries
from console.web import pages
from console.web.shared import markup, viewer

# How many entries are always shown: the first of all, and the first of each page. The others are in an expander.
SHOWN, SHOWN_PER_KIND = 6, 2
# For each kind of entry: its page, the label of its link, and the URL parameter for its id.
LINKS = {
    "rollout": (pages.OPERATION, "Open the operation", "id"),
    "run": (pages.OPERATION, "Open the operation", "id"),
    "instance": (pages.INSTANCE, "Open the instance", "id"),
    "instances": (pages.INSTANCES, "Open the instances", "instances_health"),
}


def show(entries: list[dict[str, Any]]) -> None:
    """Show the first entries, and the others in an expander."""
    if not entries:
        markup.draw(
            markup.paragraph(markup.badge("succeeded", "nothing to do"),
                             "Nothing in the recorded data of the last 14 days needs attention.")
        )  # fmt: skip
        return
    first, hidden = split(entries)
    markup.draw(*(entry(item) for item in first))
    if hidden:
        with st.expander(f"{len(hidden)} more"):
            markup.draw(*(entry(item) for item in hidden))


def exported(path: Path, limit: int, now: float) -> pd.DataFrame:
    found = queries.attention(path, now).head(limit)
    return found.assign(hosts=[", ".join(names) for names in found["hosts"]]).drop(columns="ids")


def split(items: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Split the entries into those shown and those in the expander. The first entries of each kind are always shown, so
    that many failures do not hide lost runs or stale tenants."""
    seen: Counter[str] = Counter()
    first: list[dict[str, Any]] = []
    hidden: list[dict[str, Any]] = []
    for place, item in enumerate(items):
        seen[item["page"]] += 1
        (first if place < SHOWN or seen[item["page"]] <= SHOWN_PER_KIND else hidden).append(item)
    return first, hidden


def entry(item: dict[str, Any]) -> Markup:
    """The card of an entry: its title, its start, its instances and details, and a link to the page on which to act."""
    act: Markup = markup.NOTHING
    if item["page"]:
        target, label, key = LINKS[item["page"]]
        label = "Open one of the operations" if target is pages.OPERATION and item["operations"] > 1 else label
        act = Markup('<span class="fo-end">{}</span>').format(markup.link(label, target, **{key: item["id"]}))
    since = viewer.day_moment(item["at"])
    when = markup.small(f"since {since}" if since else "")
    hosts: tuple[str, ...] = item["hosts"]
    # If there is only one instance, it is in the title.
    affected = markup.instances(hosts, item["instances"], item["ids"]) if len(hosts) > 1 else markup.NOTHING
    detail = markup.small(item["detail"])
    below = markup.paragraph(affected, detail, between=" · ") if affected or detail else markup.NOTHING
    head = markup.head(markup.badge(item["status"]), markup.strong(item["title"]), when, act)
    return markup.card(item["status"], head, below)
