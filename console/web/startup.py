# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a serving process does once: before it serves, and at its first visit, when it loads what the pages need."""

from __future__ import annotations

import gc
import importlib
import os
import signal
import socket
import stat
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.middleware import Middleware
from uvicorn.protocols.http import h11_impl
from websockets import http11

from console.settings.environment import load_acting
from console.settings.login_file import load_login
from console.web.own_origin import MOST_COOKIES, OwnOrigin

_PARTS = (
    "web.overview.sync_button",
    "web.timeline.section",
    "web.rollouts.why",
    "figures.instance",
    "web.instances.tables",
    "web.shared.export_menu",
)


def in_front() -> list[Any]:
    """The middleware in front of Streamlit's server, for who is let in by the settings. Raises SettingsError."""
    acting = load_acting()
    origins = [load_login(acting.login).origin] if acting.login else []
    return [Middleware(OwnOrigin, hosts=st.get_option("server.allowedHosts"), origins=origins)]


def end_quietly_on_interrupt() -> None:
    """Let Ctrl-C stop the server in order and with exit code 0; uvicorn would end it with "Aborted!" and 1.

    uvicorn has its handler in place when it imports the console, and passes the signal on after it has stopped.
    """
    server = getattr(signal.getsignal(signal.SIGINT), "__self__", None)
    if hasattr(server, "should_exit"):
        signal.signal(signal.SIGINT, lambda _signal, _frame: setattr(server, "should_exit", True))


def accept_long_cookies() -> None:
    """Let the server read as many bytes of headers as logins with many groups have, and some more.

    Its two parsers have a limit each that Streamlit has no setting for. A header that is too long ended a page's
    WebSocket without a word, and the page loaded for ever.
    """
    h11_impl.DEFAULT_MAX_INCOMPLETE_EVENT_SIZE = MOST_COOKIES + 64 * 1024
    http11.MAX_LINE_LENGTH = MOST_COOKIES + 64 * 1024


@cache
def settle() -> None:
    """Import the parts of all pages, and keep what is loaded by then out of later garbage collections.

    Streamlit collects after each run of a page. Going through the classes and functions of pandas, plotly and
    Streamlit took 60 ms of every run, two thirds of an empty page.
    """
    for part in _PARTS:
        importlib.import_module(f"console.{part}")
    send_at_once()
    gc.collect()
    gc.freeze()


def send_at_once() -> int:
    """Let the TCP sockets of this process send small messages without waiting; returns how many there are.

    Streamlit binds its socket with no protocol named, for which asyncio does not set TCP_NODELAY: every run's messages
    waited 40 ms for the browser's acknowledgement (github.com/Kludex/uvicorn/issues/3149). Accepted connections take
    the option over from the listening socket. Only Linux tells a process its sockets; elsewhere nothing is done.
    """
    found = 0
    for entry in Path("/proc/self/fd").glob("*"):
        # A descriptor may be gone by now: the folder's own, and what other threads had open.
        with suppress(OSError):
            if not stat.S_ISSOCK(os.fstat(int(entry.name)).st_mode):
                continue
            with socket.socket(fileno=os.dup(int(entry.name))) as one:
                if one.family in (socket.AF_INET, socket.AF_INET6) and one.type == socket.SOCK_STREAM:
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    found += 1
    return found
