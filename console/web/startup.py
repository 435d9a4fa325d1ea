# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One-time setup of a server process: before it starts to serve, and at the first visit."""

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

from console.settings.login_file import load_acting
from console.web.own_origin import MAX_COOKIE_BYTES, OwnOrigin

_MODULES = (
    "web.overview.sync_button",
    "web.timeline.section",
    "web.operations.operation_parts",
    "figures.phases",
    "figures.instance",
    "web.instances.parts",
    "web.shared.paging",
)


def middleware() -> list[Any]:
    """The middleware to run in front of Streamlit's server, according to the settings. Raises SettingsError."""
    login = load_acting().login
    origins = [login.origin] if login else []
    return [Middleware(OwnOrigin, hosts=st.get_option("server.allowedHosts"), origins=origins)]


def end_quietly_on_interrupt() -> None:
    """Make Ctrl-C stop the server cleanly with exit code 0; uvicorn would print "Aborted!" and exit with 1.

    uvicorn installs its handler before it imports the console, and raises the signal again after it has stopped.
    """
    server = getattr(signal.getsignal(signal.SIGINT), "__self__", None)
    if hasattr(server, "should_exit"):
        signal.signal(signal.SIGINT, lambda _signal, _frame: setattr(server, "should_exit", True))


def accept_long_cookies() -> None:
    """Raise the server's limit on the size of headers, so that the cookies of a login with many groups fit.

    Both HTTP parsers have a limit for which Streamlit has no setting. If a header exceeds it, the WebSocket is closed
    without a message, and the page never finishes loading.
    """
    h11_impl.DEFAULT_MAX_INCOMPLETE_EVENT_SIZE = MAX_COOKIE_BYTES + 64 * 1024
    http11.MAX_LINE_LENGTH = MAX_COOKIE_BYTES + 64 * 1024


@cache
def warm_up() -> None:
    """Import the modules of all pages and exclude the objects loaded so far from garbage collection.

    Streamlit runs a garbage collection after each run of a page. Scanning the classes and functions of pandas, Plotly
    and Streamlit took 60 ms of every run, two thirds of the time of an empty page.
    """
    for name in _MODULES:
        importlib.import_module(f"console.{name}")
    disable_nagle()
    gc.collect()
    gc.freeze()


def disable_nagle() -> int:
    """Set TCP_NODELAY on the TCP sockets of this process and return their number.

    asyncio does not set the option on Streamlit's socket, which is created without a protocol, so the messages of every
    run waited 40 ms for the browser's acknowledgement (github.com/Kludex/uvicorn/issues/3149). Accepted connections
    inherit the option from the listening socket. This does nothing on systems other than Linux, where a process cannot
    list its sockets.
    """
    found = 0
    for entry in Path("/proc/self/fd").glob("*"):
        # The descriptor may have been closed since: the one that listed the folder, or one of another thread.
        with suppress(OSError):
            if not stat.S_ISSOCK(os.fstat(int(entry.name)).st_mode):
                continue
            with socket.socket(fileno=os.dup(int(entry.name))) as copy:
                if copy.family in (socket.AF_INET, socket.AF_INET6) and copy.type == socket.SOCK_STREAM:
                    copy.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    found += 1
    return found
