# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file that sets up the login: Streamlit's secrets with a section [auth], checked before anybody relies on it."""

from __future__ import annotations

import importlib.util
import ipaddress
import stat
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from console.settings import SettingsError

_NEEDED = ("redirect_uri", "cookie_secret", "client_id", "client_secret", "server_metadata_url")
_SECRET_LEAST = 32


@dataclass(frozen=True)
class Login:
    """A login that can work. ``host``: the console's own, as browsers spell it, from redirect_uri."""

    file: Path
    host: str


def load_login(file: Path) -> Login:
    """Read and check the file. Raises SettingsError; no value of the file is in its text but redirect_uri."""
    section = _section(file)
    missing = [name for name in _NEEDED if not isinstance(section.get(name), str) or not section[name].strip()]
    if missing:
        raise SettingsError(f"{_named(file)} lacks {', '.join(missing)} in its section [auth].")
    if len(section["cookie_secret"]) < _SECRET_LEAST:
        raise SettingsError(
            f"{_named(file)} has a cookie_secret of less than {_SECRET_LEAST} characters: "
            "make one with: python -c 'import secrets; print(secrets.token_urlsafe(48))'"
        )
    if importlib.util.find_spec("authlib") is None:
        raise SettingsError("The login needs Authlib: python -m pip install Authlib")
    return Login(file.absolute(), _own_host(section["redirect_uri"]))


def is_loopback(host: str) -> bool:
    """Whether an address or name is of this machine alone; '' is every address there is."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _section(file: Path) -> dict[str, Any]:
    try:
        mode = file.stat().st_mode
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{_named(file)} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        raise SettingsError(f"{_named(file)} is open to every account of this machine: chmod 600 it.")
    try:
        section = tomllib.loads(text).get("auth")
    except tomllib.TOMLDecodeError:
        # Its text may quote a line, and that line may hold a secret.
        raise SettingsError(f"{_named(file)} is no TOML.") from None
    if not isinstance(section, dict):
        raise SettingsError(f"{_named(file)} has no section [auth].")
    return section


def _own_host(redirect_uri: str) -> str:
    parts = urlsplit(redirect_uri)
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not host or not parts.path.endswith("/oauth2callback"):
        raise SettingsError(
            f"redirect_uri is {redirect_uri!r}; it must be the console's address and end with /oauth2callback."
        )
    if parts.scheme == "http" and not is_loopback(host):
        raise SettingsError(
            f"redirect_uri is {redirect_uri!r}: logins over a network need https, by a proxy in front of the console."
        )
    return host


def _named(file: Path) -> str:
    return f"{file} (FLEETOPS_CONSOLE_LOGIN)"
