# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Needs attention: one card a cause, worst first, with a link to where a person acts on it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st
from markupsafe import Markup

from console.record.read import attention as queries
from console.web.shared import markup, pages, viewer

SHOWN, OF_EACH = 6, 2
# For each kind of entry: its page, the label of its link, and the URL parameter for its id.
LINKS = {
    "rollout": (pages.OPERATION, "Open the operation", "id"),
    "run": (pages.OPERATION, "Open the operation", "id"),
    "instance": (pages.INSTANCE, "Open the instance", "id"),
    "instances": (pages.INSTANCES, "Open the instances", "instances_health"),
}


def show(entries: list[dict[str, Any]]) -> None:
    """The first entries, and the others in an expander."""
    if not entries:
        markup.draw(
            markup.paragraph(markup.badge("succeeded", "nothing to do"),
                             "Nothing that was read of the last 14 days needs attention.")
        )  # fmt: skip
        return
    first, hidden = foremost(entries)
    markup.draw(*(entry(item) for item in first))
    if hidden:
        with st.expander(f"{len(hidden)} more"):
            markup.draw(*(entry(item) for item in hidden))


def exported(path: Path, most: int, now: float) -> pd.DataFrame:
    """The entries as rows of a file."""
    found = queries.attention(path, now).head(most)
    return found.assign(hosts=[", ".join(names) for names in found["hosts"]])


def foremost(items: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Split the entries into those shown and those in the expander. The first entries of each kind are always shown, so
    that many failures do not hide lost runs or stale tenants."""
    seen: Counter[str] = Counter()
    first: list[dict[str, Any]] = []
    hidden: list[dict[str, Any]] = []
    for place, item in enumerate(items):
        seen[item["page"]] += 1
        (first if place < SHOWN or seen[item["page"]] <= OF_EACH else hidden).append(item)
    return first, hidden


def entry(item: dict[str, Any]) -> Markup:
    """One entry: what, since when, why, and a link to where to act."""
    act: Markup = markup.NOTHING
    if item["page"]:
        target, label, key = LINKS[item["page"]]
        act = Markup('<span class="fo-end">{}</span>').format(markup.link(label, target, **{key: item["id"]}))
    since = viewer.day_moment(item["at"])
    when = markup.small(f"since {since}" if since else "")
    hosts: tuple[str, ...] = item["hosts"]
    # The title of one instance names it.
    of = markup.instances(hosts, item["instances"]) if len(hosts) > 1 else markup.NOTHING
    said = markup.small(item["detail"])
    below = markup.paragraph(of, said, between=" · ") if of or said else markup.NOTHING
    head = markup.head(markup.badge(item["status"]), markup.strong(item["title"]), when, act)
    return markup.card(item["status"], head, below)
