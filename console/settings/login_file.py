# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings for login and acting, and the file that configures the login, with a section [auth] for Streamlit."""

from __future__ import annotations

import ipaddress
import os
import stat
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.fleetops.agents.plugins.module_utils._rules import plain_values
from console.settings.environment import SettingsError, checked, open_regular, optional_package, path_of, text_of

_NEEDED = ("redirect_uri", "cookie_secret", "client_id", "client_secret", "server_metadata_url")
_MIN_SECRET = 32
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
    if len(section["cookie_secret"]) < _MIN_SECRET:
        raise SettingsError(
            f"{_named(file)} has a cookie_secret of fewer than {_MIN_SECRET} characters: "
            "create one with: python -c 'import secrets; print(secrets.token_urlsafe(48))'"
        )
    for package in ("authlib", "httpx"):
        optional_package(package, "The login needs")
    # In OpenID Connect Discovery, the address of the metadata is the issuer and a fixed suffix.
    issuer, suffix, _rest = section["server_metadata_url"].partition("/.well-known/")
    origin = _own_origin(section["redirect_uri"])
    return Login(file.absolute(), origin, issuer if suffix else "", section["client_id"].strip())


@dataclass(frozen=True)
class Acting:
    """Who may see the console and who may act from it.

    ``login``: with it every page requires a login, without it nobody can act. ``operators``: who may act, as ``email:``
    and an address or ``sub:`` and a subject. ``operator_claim``: a claim and the value that operators have in it.
    ``issuer``: the login provider, the only one whose claims are accepted, '' if unknown.
    """

    enabled: bool = False
    login: Login | None = None
    operators: frozenset[str] = frozenset()
    operator_claim: tuple[str, str] | None = None
    issuer: str = ""


def load_acting(environ: Mapping[str, str] | None = None) -> Acting:
    """The settings for login and acting. Raises SettingsError, also if acting is on but nobody may act."""
    env = os.environ if environ is None else environ
    enabled = checked(env, "FLEETOPS_CONSOLE_ACTIONS", plain_values.boolean, False)
    file = text_of(env, "FLEETOPS_CONSOLE_LOGIN")
    listed = env.get("FLEETOPS_CONSOLE_OPERATORS", "").split(",")
    operators = frozenset(_operator(part.strip()) for part in listed if part.strip())
    claim = _operator_claim(text_of(env, "FLEETOPS_CONSOLE_OPERATOR_CLAIM"))
    if enabled and file is None:
        raise SettingsError(
            "FLEETOPS_CONSOLE_ACTIONS is on, but there is no login: set FLEETOPS_CONSOLE_LOGIN to the file with"
            " Streamlit's section [auth]."
        )
    if enabled and not operators and claim is None:
        raise SettingsError(
            "FLEETOPS_CONSOLE_ACTIONS is on, but nobody may act: set FLEETOPS_CONSOLE_OPERATORS"
            " or FLEETOPS_CONSOLE_OPERATOR_CLAIM."
        )
    login = load_login(path_of(file)) if file else None
    issuer = text_of(env, "FLEETOPS_CONSOLE_ISSUER") or (login.issuer if login else "")
    return Acting(enabled, login, operators, claim, issuer)


def _operator(entry: str) -> str:
    """An entry of FLEETOPS_CONSOLE_OPERATORS with its kind in front. Without a kind, an entry with @ is an address."""
    kind, colon, name = (part.strip() for part in entry.partition(":"))
    if not colon:
        kind, name = ("email" if "@" in entry else "sub"), entry
    kind = kind.lower()
    if kind not in ("email", "sub") or not name or (kind == "email" and "@" not in name):
        raise SettingsError(
            f"FLEETOPS_CONSOLE_OPERATORS contains {entry!r}; write email: and an address, or sub: and a subject."
        )
    return f"{kind}:{name}"


def _operator_claim(text: str | None) -> tuple[str, str] | None:
    name, _equals, value = (part.strip() for part in (text or "").partition("="))
    if text and not (name and value):
        raise SettingsError(
            f"FLEETOPS_CONSOLE_OPERATOR_CLAIM is {text!r}; it must be a claim and its value, such as groups=operators."
        )
    return (name, value) if text else None


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


def _named(file: Path) -> str:
    return f"{file} (FLEETOPS_CONSOLE_LOGIN)"
