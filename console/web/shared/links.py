# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ids in addresses, and links from a list to the page of an entry."""

from __future__ import annotations

import re

import streamlit as st

from console.record.opening import DatabaseProblem
from console.record.read import operation
from console.web.pages import Page
from console.web.shared import cached


def short(identifier: str) -> str:
    """The first 8 characters of an id, without any that could be markup."""
    return re.sub(r"[^\w-]", "", identifier)[:8] or "?"


def wanted_id() -> str:
    """The id in the page's address; '' if there is none."""
    return str(st.query_params.get("id", "")).strip()


def resolved(*kinds: str) -> str:
    """The id in the page's address, completed if exactly one id begins with it, otherwise unchanged.
    kinds: run, rollout, instance."""
    identifier = wanted_id()
    try:
        return cached.ask(operation.whole_id, identifier, *kinds) or identifier
    except DatabaseProblem:
        # The body of the page shows this error.
        return identifier


def to(page: Page, label: str, icon: str = "arrow_forward", **parameters: str) -> None:
    """A link to a page, with parameters in its address. icon: the name of a Material icon, '' for none."""
    st.page_link(page.script, label=label, icon=f":material/{icon}:" if icon else None, query_params=parameters or None)
