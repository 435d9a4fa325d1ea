# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Access to the console: the login file, the address that serve listens on, and the pages."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from streamlit import config
from streamlit.testing.v1 import AppTest

from console.settings.environment import SettingsError
from console.settings.login_file import Login, is_loopback, load_login
from tests.console.support.login_file import SECRET, written
from tests.console.support.page import words

CHECKOUT = Path(__file__).resolve().parents[3]


def serve(*arguments: str, **environment: str) -> tuple[int, str]:
    """Exit code and error output of a serve command that cannot start."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FLEETOPS_")}
    done = subprocess.run(
        [sys.executable, "-m", "console", "serve", "--port", "0", *arguments],
        cwd=CHECKOUT, env=kept | environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, done.stderr


def test_a_valid_login_file_is_accepted(tmp_path: Path) -> None:
    good = load_login(written(tmp_path / "a.toml"))
    assert good == Login(tmp_path / "a.toml", "https://console.example.com", "https://id.example.com", "console")
    assert good.host == "console.example.com"
    local = written(tmp_path / "b.toml", 0o640, redirect_uri="http://localhost:8501/oauth2callback")
    assert load_login(local).host == "localhost"
    local = written(tmp_path / "c.toml", redirect_uri="http://[::1]:8501/oauth2callback")
    assert (load_login(local).origin, load_login(local).host) == ("http://[::1]:8501", "::1")
    # Streamlit inserts the port.
    local = written(tmp_path / "d.toml", redirect_uri="http://localhost:{port}/oauth2callback")
    assert load_login(local).host == "localhost"


# reports/2026-11 D13
@pytest.mark.parametrize(
    ("redirect_uri", "message"),
    [
        ("https://ops.example.com/fleetops/oauth2callback", "only at the root of its address"),
        ("https://ops.example.com//oauth2callback", "only at the root of its address"),
        (
            "https://ops.example.com/oauth2callback?next=1",
            "browsers write it as https://ops.example.com/oauth2callback",
        ),
        ("https://ops.example.com:443/oauth2callback", "browsers write it as https://ops.example.com/oauth2callback"),
        ("https://OPS.example.com/oauth2callback", "browsers write it as https://ops.example.com/oauth2callback"),
        ("https://me@ops.example.com/oauth2callback", "browsers write it as https://ops.example.com/oauth2callback"),
        ("https://bücher.example.com/oauth2callback", "browsers write it as https://xn--bcher-kva.example.com/oauth"),
        ("https://ops.example.com:port/oauth2callback", "that is not a valid address"),
        ("https:///oauth2callback", "must be the console's address"),
    ],
)
def test_a_redirect_uri_that_cannot_complete_a_login_is_refused(
    redirect_uri: str, message: str, tmp_path: Path
) -> None:
    file = written(tmp_path / "login.toml", redirect_uri=redirect_uri)
    with pytest.raises(SettingsError, match=re.escape(message)):
        load_login(file)
    code, output = serve("--db", str(tmp_path / "console.db"), FLEETOPS_CONSOLE_LOGIN=str(file))
    assert (code, message in output, output.count("\n")) == (2, True, 1), output


@pytest.mark.parametrize(
    ("changes", "mode", "message"),
    [
        ({"client_secret": None, "cookie_secret": " "}, 0o600, "lacks cookie_secret, client_secret"),
        ({"cookie_secret": "short"}, 0o600, "fewer than 32 characters"),
        ({}, 0o604, "by every account on this machine"),
        ({"redirect_uri": "http://console.example.com/oauth2callback"}, 0o600, "need https"),
        ({"redirect_uri": "https://console.example.com/"}, 0o600, "end with /oauth2callback"),
        ({"client_id": 'a"\nb = [' + SECRET}, 0o600, "is not valid TOML"),
        ({"client_id": 'a"\nb = ' + "[" * 5000 + SECRET}, 0o600, "is not valid TOML"),
    ],
)
def test_an_invalid_login_file_is_reported_in_one_sentence_without_secrets(
    changes: dict[str, str | None], mode: int, message: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match=re.escape(message)) as refused:
        load_login(written(tmp_path / "login.toml", mode, **changes))
    assert SECRET not in str(refused.value)


def test_a_path_that_is_not_a_login_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        load_login(tmp_path / "none.toml")
    with pytest.raises(SettingsError, match="cannot be read: it is a device, a pipe or a socket"):
        load_login(Path("/dev/null"))
    (tmp_path / "other.toml").write_text("[other]\n")
    (tmp_path / "other.toml").chmod(0o600)
    with pytest.raises(SettingsError, match=r"no section \[auth\]"):
        load_login(tmp_path / "other.toml")


@pytest.mark.parametrize("package", ["authlib", "httpx"])
def test_each_package_that_a_login_needs_is_checked_before_the_console_is_served(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        SettingsError, match=f"^The login needs the Python package {package}, .* -m pip install {package}$"
    ):
        load_login(written(tmp_path / "login.toml"))


def test_loopback_addresses_are_distinguished_from_public_ones() -> None:
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "127.8.8.8")] == [True] * 4
    others = ("0.0.0.0", "::", "", "10.0.0.7", "console.example.com", "localhost.example.com")
    assert [is_loopback(host) for host in others] == [False] * 6


def test_serve_listens_beyond_loopback_only_with_a_login(tmp_path: Path) -> None:
    database = tmp_path / "console.db"
    code, output = serve("--address", "0.0.0.0", "--db", str(database))
    assert (code, output) == (
        2,
        "console: Other machines can reach 0.0.0.0, but no login is configured: set FLEETOPS_CONSOLE_LOGIN, or serve on"
        " 127.0.0.1.\n",
    )
    open_file = written(tmp_path / "login.toml", 0o644)
    code, output = serve("--address", "0.0.0.0", "--db", str(database), FLEETOPS_CONSOLE_LOGIN=str(open_file))
    assert (code, "by every account on this machine" in output) == (2, True), output
    code, output = serve("--db", str(database), FLEETOPS_CONSOLE_ACTIONS="on")
    assert (code, "there is no login" in output, output.count("\n")) == (2, True, 1), output
    assert not database.exists()


@pytest.mark.usefixtures("environment")
def test_if_streamlit_is_started_by_hand_on_a_public_address_no_page_is_shown(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLEETOPS_CONSOLE_DB", str(small))
    before = config.get_option("server.address")
    config._set_option("server.address", "0.0.0.0", "a test")
    try:
        app = AppTest.from_file(str(CHECKOUT / "console" / "app.py"), default_timeout=60).run()
    finally:
        config._set_option("server.address", before, "a test")
    assert [title.value for title in app.title] == []
    assert words(app) == (
        "✕ No login is set up The pages are not shown, because other machines can reach this address. Start the console"
        " with python -m console serve, which listens on this machine only, or set FLEETOPS_CONSOLE_LOGIN."
    )
    assert not app.exception
