# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file that configures the login: Streamlit's secrets with a section [auth], checked before it is used."""

from __future__ import annotations

import ipaddress
import os
import stat
import tomllib
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from console.settings.environment import Acting, SettingsError, open_regular, optional_package

_NEEDED = ("redirect_uri", "cookie_secret", "client_id", "client_secret", "server_metadata_url")
_SECRET_LEAST = 32
_CALLBACK = "/oauth2callback"


@dataclass(frozen=True)
class Login:
    """A checked login. ``origin``: the console's origin as browsers write it, from redirect_uri.

    ``issuer``: the login provider, from server_metadata_url, '' if that does not contain it. ``client_id``: the
    console's id at the provider.
    """

    file: Path
    origin: str
    issuer: str
    client_id: str

    @property
    def host(self) -> str:
        """The name in ``origin``, without scheme and port."""
        return urlsplit(self.origin).hostname or ""


def load_login(file: Path) -> Login:
    """Read and check the file. Raises SettingsError, whose text has no value from the file except redirect_uri."""
    section = _section(file)
    missing = [name for name in _NEEDED if not isinstance(section.get(name), str) or not section[name].strip()]
    if missing:
        raise SettingsError(f"{_named(file)} lacks {', '.join(missing)} in its section [auth].")
    if len(section["cookie_secret"]) < _SECRET_LEAST:
        raise SettingsError(
            f"{_named(file)} has a cookie_secret of fewer than {_SECRET_LEAST} characters: "
            "create one with: python -c 'import secrets; print(secrets.token_urlsafe(48))'"
        )
    for package in ("authlib", "httpx"):
        optional_package(package, "The login needs")
    origin, issuer = _own_origin(section["redirect_uri"]), _issuer(section["server_metadata_url"])
    return Login(file.absolute(), origin, issuer, section["client_id"].strip())


def bound_to_login(acting: Acting) -> Acting:
    """The settings with the issuer and the client id of their login file. Raises SettingsError."""
    if acting.login is None:
        return acting
    login = load_login(acting.login)
    return replace(acting, issuer=acting.issuer or login.issuer, client_id=login.client_id)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address or name; '' means all addresses."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _section(file: Path) -> dict[str, Any]:
    try:
        with open_regular(file) as opened:
            mode, text = os.fstat(opened.fileno()).st_mode, opened.read().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{_named(file)} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        raise SettingsError(
            f"{_named(file)} can be read or written by every account on this machine: run chmod 600 on it."
        )
    try:
        section = tomllib.loads(text).get("auth")
    except (ValueError, RecursionError):
        # The text of the error may quote a line that contains a secret.
        raise SettingsError(f"{_named(file)} is not valid TOML.") from None
    if not isinstance(section, dict):
        raise SettingsError(f"{_named(file)} has no section [auth].")
    return section


def _own_origin(redirect_uri: str) -> str:
    """Scheme, host and port of the console. Raises SettingsError for an address to which a login cannot return."""
    setting = f"redirect_uri is {redirect_uri!r}"
    try:
        parts = urlsplit(redirect_uri)
        host = parts.hostname or ""
        # Streamlit replaces {port} with the port of the server.
        port = ":{port}" if parts.netloc.endswith(":{port}") else f":{parts.port}" if parts.port is not None else ""
    except ValueError:
        raise SettingsError(f"{setting}; that is not a valid address.") from None
    if parts.scheme not in ("http", "https") or not host or not parts.path.endswith(_CALLBACK):
        raise SettingsError(f"{setting}; it must be the console's address and end with {_CALLBACK}.")
    if parts.scheme == "http" and not is_loopback(host):
        raise SettingsError(
            f"{setting}: logins over a network need https; put a proxy with a certificate in front of the console."
        )
    if port == {"http": ":80", "https": ":443"}[parts.scheme]:
        port = ""
    with suppress(UnicodeError):
        host = host.encode("idna").decode()
    origin = f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}"
    if parts.path != _CALLBACK:
        raise SettingsError(
            f"{setting}: the console is served only at the root of its address, so a login cannot return to"
            f" {parts.path}. Give the console its own name or port, as in {origin}{_CALLBACK}, and register that with"
            " the login provider."
        )
    if redirect_uri != origin + _CALLBACK:
        raise SettingsError(
            f"{setting}; browsers write it as {origin}{_CALLBACK}: use that here and at the login provider."
        )
    return origin


def _issuer(server_metadata_url: str) -> str:
    """The issuer in the address of the metadata: in OpenID Connect Discovery, that is the issuer and a fixed suffix."""
    issuer, end, _rest = server_metadata_url.partition("/.well-known/")
    return issuer if end else ""


def _named(file: Path) -> str:
    return f"{file} (FLEETOPS_CONSOLE_LOGIN)"
