# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sign-in and sign-out. If a login is set up, no page is shown until the visitor has signed in."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import NoReturn

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from console.settings.environment import ApiConnection, SettingsError, load_api
from console.settings.identity import Identity, identity
from console.settings.invocation import COMMAND
from console.settings.login_file import Acting, is_loopback, load_acting
from console.web.browser import navigation
from console.web.own_origin import FAILED
from console.web.shared import links, messages


def acting() -> Acting:
    """The settings for who may view the pages and who may act. If one is invalid, show the error and stop the page."""
    try:
        return load_acting()
    except SettingsError as error:
        messages.problem("A setting is invalid", str(error))
        st.stop()


def visitor() -> Identity:
    return identity(st.user.to_dict(), acting(), time.time())


def connection(key_may: str = "read") -> tuple[ApiConnection | None, str]:
    """The connection to the API, or None and the reason. key_may: as for ``load_api``."""
    try:
        return load_api(key_may=key_may), ""
    except SettingsError as error:
        return None, str(error)


def run(shown: list[StreamlitPage]) -> None:
    """Run the requested page, or the sign-in page if the visitor is not signed in."""
    if acting().login is None:
        # Set by serve, or by console/.streamlit/config.toml if Streamlit is started without it.
        address = st.get_option("server.address")
        if address and not is_loopback(address):
            _run_instead(shown, _refuse_network)
        page = st.navigation(shown, position="top")
        _run(page)
        return
    who = visitor()
    if who.role == "nobody":
        _run_instead(shown, _ask_to_sign_in)
    sign_out = st.Page(_sign_out, title="Sign out", icon=":material/logout:", url_path="sign-out")
    # The name comes from the login provider: characters that could be markup are removed.
    account = re.sub(r"[^\w.@+ -]", "", who.name) or "Account"
    page = st.navigation({"": shown, account: [sign_out]}, position="top")
    _run(page)
    navigation.open_kept(page.url_path)


def _run(page: StreamlitPage) -> None:
    """Run a page, or show the error if a setting is invalid."""
    # Bookmarks and screen readers also use the title of the browser tab.
    wanted = links.wanted_id()
    st.set_page_config(page_title=f"{page.title}{f' {links.short(wanted)}' if wanted else ''} · fleetops")
    try:
        page.run()
    except SettingsError as error:
        messages.problem("A setting is invalid", str(error))


def _run_instead(shown: list[StreamlitPage], body: Callable[[str], None]) -> NoReturn:
    # The pages are registered so that Streamlit does not report the address as not found, but none of them runs.
    page = st.navigation(shown, position="hidden")
    body(page.url_path)
    st.stop()


def _ask_to_sign_in(page: str) -> None:
    st.title("fleetops console")
    st.text("Sign in to see the fleet's rollouts.")
    if FAILED in st.query_params:
        st.text(
            "The last sign-in failed: the login provider refused it, or sent a response that the console cannot use."
            " See the console's log. If you belong to very many groups, configure the provider to send fewer claims."
        )
    navigation.keep(page)
    st.button("Sign in", icon=":material/login:", type="primary", on_click=st.login)


def _sign_out() -> None:
    st.title("Sign out")
    st.text("This ends your session in this browser.")
    st.button("Sign out", icon=":material/logout:", type="primary", on_click=st.logout)


def _refuse_network(_page: str) -> None:
    # Anybody can read this, so the database is not named.
    messages.problem(
        "No login is set up",
        "The pages are not shown, because other machines can reach this address. Start the console with"
        f" {COMMAND} serve, which listens on this machine only, or set FLEETOPS_CONSOLE_LOGIN.",
    )
