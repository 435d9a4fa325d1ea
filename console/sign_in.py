# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signing in and out, where a login is set up: nobody sees a page before."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from console import ui
from console.acting.identity import Identity, identity
from console.acting.login import is_loopback
from console.settings import Acting, SettingsError, load_acting


def acting() -> Acting:
    """Who may see and act; a wrong setting is said on the page, which ends there."""
    try:
        return load_acting()
    except SettingsError as error:
        ui.problem("A setting is wrong", str(error))
        st.stop()


def visitor() -> Identity:
    """Whoever looks at the page."""
    return identity(st.user.to_dict(), acting(), time.time())


def pages(shown: list[StreamlitPage]) -> StreamlitPage:
    """The page to run, of those that are shown: the one in the address, or for now the one that asks for a login."""
    if acting().login is None:
        # Set by serve, and by the settings beside app.py for who starts Streamlit by hand.
        address = st.get_option("server.address")
        if address and not is_loopback(address):
            return _instead(shown, _not_alone)
        return st.navigation(shown, position="top")
    who = visitor()
    if who.role == "nobody":
        return _instead(shown, _ask)
    leave = st.Page(_leave, title="Sign out", icon=":material/logout:", url_path="sign-out")
    # The name is the login provider's: what could be markup is left out.
    return st.navigation({"": shown, re.sub(r"[^\w.@+ -]", "", who.name) or "Account": [leave]}, position="top")


def _instead(shown: list[StreamlitPage], body: Callable[[], None]) -> StreamlitPage:
    # The pages stay known, or Streamlit would say that the address has none; but none of them runs.
    st.navigation(shown, position="hidden")
    body()
    st.stop()


def _ask() -> None:
    st.title("fleetops console")
    st.text("Sign in to see the fleet's rollouts.")
    if urlsplit(st.context.url or "").path.strip("/"):
        st.text("The login leads to the first page: open your link once more after it.")
    st.button("Sign in", icon=":material/login:", type="primary", on_click=st.login)


def _leave() -> None:
    st.title("Sign out")
    st.text("This ends your session in this browser.")
    st.button("Sign out", icon=":material/logout:", type="primary", on_click=st.logout)


def _not_alone() -> None:
    ui.problem(
        "Not shown",
        "Other machines reach this address, and there is no login: start it with python -m console serve,"
        " which listens on this machine alone, or set FLEETOPS_CONSOLE_LOGIN.",
    )
