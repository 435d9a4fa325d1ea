# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signing in and out, where a login is set up: nobody sees a page before."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import NoReturn

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from console.settings.environment import Acting, SettingsError, load_acting
from console.settings.identity import Identity, identity
from console.settings.invocation import COMMAND
from console.settings.login_file import bound_to_login, is_loopback
from console.web.browser import return_after_login
from console.web.own_origin import FAILED
from console.web.shared import links, messages


def acting() -> Acting:
    """Who may see and act; a wrong setting is said on the page, which ends there."""
    try:
        return bound_to_login(load_acting())
    except SettingsError as error:
        messages.problem("A setting is wrong", str(error))
        st.stop()


def visitor() -> Identity:
    """Whoever looks at the page."""
    return identity(st.user.to_dict(), acting(), time.time())


def run(shown: list[StreamlitPage]) -> None:
    """Run, of the pages that are shown, the one in the address, or for now the one that asks for a login."""
    if acting().login is None:
        # Set by serve, and by the settings beside app.py for who starts Streamlit by hand.
        address = st.get_option("server.address")
        if address and not is_loopback(address):
            _instead(shown, _not_alone)
        page = st.navigation(shown, position="top")
        _run(page)
        return
    who = visitor()
    if who.role == "nobody":
        _instead(shown, _ask)
    leave = st.Page(_leave, title="Sign out", icon=":material/logout:", url_path="sign-out")
    # The name is the login provider's: what could be markup is left out.
    account = re.sub(r"[^\w.@+ -]", "", who.name) or "Account"
    page = st.navigation({"": shown, account: [leave]}, position="top")
    _run(page)
    return_after_login.open_kept(page.url_path)


def _run(page: StreamlitPage) -> None:
    """Run a page; a wrong setting is said in its place."""
    _name_tab(page)
    try:
        page.run()
    except SettingsError as error:
        messages.problem("A setting is wrong", str(error))


def _name_tab(page: StreamlitPage) -> None:
    """The page's name, with the id that it is about, for the browser's tabs, bookmarks and screen readers."""
    wanted = links.wanted_id()
    st.set_page_config(page_title=f"{page.title}{f' {links.short(wanted)}' if wanted else ''} · fleetops")


def _instead(shown: list[StreamlitPage], body: Callable[[str], None]) -> NoReturn:
    # The pages stay known, or Streamlit would say that the address has none; but none of them runs.
    page = st.navigation(shown, position="hidden")
    body(page.url_path)
    st.stop()


def _ask(page: str) -> None:
    st.title("fleetops console")
    st.text("Sign in to see the fleet's rollouts.")
    if FAILED in st.query_params:
        st.text(
            "The last sign-in did not succeed: the login provider refused it, or sent what the console cannot take. The"
            " console's log says more. For somebody in very many groups, have the provider send fewer claims."
        )
    return_after_login.keep(page)
    st.button("Sign in", icon=":material/login:", type="primary", on_click=st.login)


def _leave() -> None:
    st.title("Sign out")
    st.text("This ends your session in this browser.")
    st.button("Sign out", icon=":material/logout:", type="primary", on_click=st.logout)


def _not_alone(_page: str) -> None:
    messages.problem(
        "Not shown",
        f"Other machines reach this address, and there is no login: start it with {COMMAND} serve,"
        " which listens on this machine alone, or set FLEETOPS_CONSOLE_LOGIN.",
    )
