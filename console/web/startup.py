# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a serving process does once: before it serves, and at its first visit."""

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

_MODULES = (
    "web.overview.sync_button",
    "web.timeline.section",
    "web.operations.parts",
    "figures.phases",
    "figures.instance",
    "web.instances.parts",
    "web.shared.paging",
)


def in_front() -> list[Any]:
    """The middleware in front of Streamlit's server, by the settings. Raises SettingsError."""
    acting = load_acting()
    origins = [load_login(acting.login).origin] if acting.login else []
    return [Middleware(OwnOrigin, hosts=st.get_option("server.allowedHosts"), origins=origins)]


def end_quietly_on_interrupt() -> None:
    """Make Ctrl-C stop the server cleanly with exit code 0; uvicorn would print "Aborted!" and exit with 1.

    uvicorn has installed its handler when it imports the console, and raises the signal again after it has stopped.
    """
    server = getattr(signal.getsignal(signal.SIGINT), "__self__", None)
    if hasattr(server, "should_exit"):
        signal.signal(signal.SIGINT, lambda _signal, _frame: setattr(server, "should_exit", True))


def accept_long_cookies() -> None:
    """Raise the server's limit for headers above the cookies of a login with many groups.

    Both HTTP parsers have a limit for which Streamlit has no setting. With a longer header the WebSocket was closed
    without a message, and the page never finished loading.
    """
    h11_impl.DEFAULT_MAX_INCOMPLETE_EVENT_SIZE = MOST_COOKIES + 64 * 1024
    http11.MAX_LINE_LENGTH = MOST_COOKIES + 64 * 1024


@cache
def warm_up() -> None:
    """Import the modules of all pages and exclude the objects loaded so far from garbage collection.

    Streamlit collects after each run of a page. The classes and functions of pandas, plotly and Streamlit took 60 ms
    of every run, two thirds of the time of an empty page.
    """
    for name in _MODULES:
        importlib.import_module(f"console.{name}")
    disable_nagle()
    gc.collect()
    gc.freeze()


def disable_nagle() -> int:
    """Set TCP_NODELAY on the TCP sockets of this process; returns how many there are.

    Streamlit binds its socket without a protocol, for which asyncio does not set the option: the messages of every run
    waited 40 ms for the browser's acknowledgement (github.com/Kludex/uvicorn/issues/3149). Accepted connections inherit
    the option from the listening socket. Only on Linux can a process list its sockets; elsewhere nothing is done.
    """
    found = 0
    for entry in Path("/proc/self/fd").glob("*"):
        # A descriptor may be closed by now: that of the folder itself, or one of another thread.
        with suppress(OSError):
            if not stat.S_ISSOCK(os.fstat(int(entry.name)).st_mode):
                continue
            with socket.socket(fileno=os.dup(int(entry.name))) as one:
                if one.family in (socket.AF_INET, socket.AF_INET6) and one.type == socket.SOCK_STREAM:
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    found += 1
    return found
