# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m console serve`: serves the pages, on this machine only unless there is a login."""

from __future__ import annotations

import argparse
import os
import re
import socket
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from console.cli.options import command, option, put
from console.record.opening import BUSY_TIMEOUT, as_database_problem, is_copy, is_current, no_database
from console.record.private_files import only_for_the_owner
from console.record.write.store import open_store
from console.settings.environment import Settings, SettingsError, is_default
from console.settings.login_file import Login, is_loopback, load_acting

LOOPBACK = "127.0.0.1"
_APP = Path(__file__).parents[1] / "app.py"


def register(commands: Any) -> None:
    serve = command(commands, "serve", run, "serve the pages on this machine")
    option(serve, "--port", _port, 8501, "PORT", "port; 0 for any free port")
    where = "address to listen on; one that other machines can reach requires a login (FLEETOPS_CONSOLE_LOGIN)"
    option(serve, "--address", _address, LOOPBACK, "ADDRESS", where)


def _port(text: str) -> int:
    value = int(text) if text.isdecimal() else -1
    if not 0 <= value <= 65535:
        raise argparse.ArgumentTypeError(f"must be a port number from 0 to 65535; it is {text!r}")
    return value


def _address(text: str) -> str:
    # A socket bound to an empty address listens on all addresses.
    if not text.strip():
        raise argparse.ArgumentTypeError("must not be empty")
    return text.strip()


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Replace this process with the server; does not return. Raises ImportError, SettingsError and DatabaseProblem
    before that."""
    _check_packages()
    login = load_acting().login
    if login is None and not is_loopback(options.address):
        raise SettingsError(
            f"Other machines can reach {options.address}, but no login is configured: "
            f"set FLEETOPS_CONSOLE_LOGIN, or serve on {LOOPBACK}."
        )
    # First, because an older console may be using the port, and could not show the database once it is migrated.
    port = _free_port(options.address, options.port)
    _make_ready(settings)
    # With -P, nothing is imported from the working directory, which may have a module of the same name.
    arguments = [sys.executable, "-P", "-m", "streamlit", "run", str(_APP), *_flags(options.address, port, login)]
    # A user id without an account has no home folder, and Streamlit does not start without one.
    home = os.path.expanduser("~")  # noqa: PTH111 - Path raises an error if it is not known
    environment = {**os.environ, "HOME": "/" if home == "~" else home}
    # Without it, the commands on the pages need no --db.
    if not is_default(settings.database):
        environment["FLEETOPS_CONSOLE_DB"] = str(settings.database.absolute())
    # The folder from which the pages import `console`.
    environment["PYTHONPATH"] = os.pathsep.join([str(_APP.parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    host = f"[{options.address}]" if ":" in options.address else options.address
    put(f"The console is at http://{host}:{port} (Ctrl-C stops it).\n")
    # Streamlit replaces this process, so that signals reach it.
    os.execve(sys.executable, arguments, environment)  # noqa: S606 - our own interpreter, no shell


def _check_packages() -> None:
    """Raise ImportError for a missing or old package. The server would report some only when a page is opened."""
    for name, least in re.findall(r"(?m)^([\w-]+)>=([\d.]+)", _APP.with_name("requirements.txt").read_text("utf-8")):
        if [*map(int, re.findall(r"\d+", version(name)))] < [*map(int, least.split("."))]:
            raise ImportError(f"{name} {least} or newer is required", name=name)


def _make_ready(settings: Settings) -> None:
    """Make sure that there is a database of this version for the pages, which only read.

    A copy of this version is not changed, so that it can be shown from a read-only folder. An empty database is created
    only at the default path. Raises DatabaseProblem.
    """
    database = settings.database
    with as_database_problem(database, BUSY_TIMEOUT, "read"):
        if not is_default(database) and not database.exists():
            raise no_database(database)
    if not is_current(database):
        open_store(database, into_copy=True).close()
    elif not is_copy(database):
        only_for_the_owner(database)


def _flags(address: str, port: int, login: Login | None) -> list[str]:
    flags = {
        "server.address": address,
        "server.port": port,
        "server.headless": "true",
        "browser.gatherUsageStats": "false",
        "client.showErrorDetails": "none",
        "server.enableStaticServing": "false",
        "server.maxUploadSize": 1,
        # The pages do not need Streamlit's magic, and applying it takes longer than compiling the page.
        "runner.magicEnabled": "false",
        # Only the login decides who is signed in, never a header.
        "server.trustedUserHeaders": "{}",
        # A user's own config.toml is for all apps. With these settings of it the pages would not work.
        "global.developmentMode": "false",
        "runner.enforceSerializableSessionState": "false",
        "server.baseUrlPath": "",
        "server.sslCertFile": "",
        "server.sslKeyFile": "",
        # Other files with secrets are for other apps, and their folder may be one that this account cannot enter.
        "secrets.files": login.file if login else _APP.with_name("none.toml"),
    }
    # Only requests for a name of this machine and, with a login, for the name that browsers use are answered.
    hosts = {"localhost", LOOPBACK, "::1"} | ({address} if is_loopback(address) else set())
    if login is not None:
        flags["browser.serverAddress"] = login.host
        hosts.add(login.host)
    given = [f"--{name}={value}" for name, value in flags.items()]
    return given + [f"--server.allowedHosts={host}" for host in sorted(hosts)]


def _free_port(address: str, port: int) -> int:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            raise SettingsError(
                f"Port {port} of {address} cannot be used ({error.strerror}); choose another with --port."
            ) from error
        return int(probe.getsockname()[1])
