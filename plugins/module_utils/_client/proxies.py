# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Which proxy is used for a server, according to environment variables alone. Pure.

requests would also ask the operating system. On macOS, that lookup crashes a forked process, and Ansible's workers are
forked.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from .._rules.plain_values import SettingsError

PORTS = {"http": 80, "https": 443}


class Proxy(NamedTuple):
    """A proxy. ``url``: its address, which may contain a password. ``variable``: the environment variable with it."""

    url: str
    variable: str

    def secrets(self) -> tuple[str, ...]:
        """The password, both as written in the address and decoded."""
        password = urlsplit(self.url).password
        return (password, unquote(password)) if password else ()


def proxy_for(url: str, environ: Mapping[str, str]) -> Proxy | None:
    """The proxy for calls to ``url``: HTTP_PROXY, HTTPS_PROXY or ALL_PROXY, unless NO_PROXY names the host.

    A variable in lower case takes precedence over the one in upper case. Raises SettingsError, without the value, for
    an invalid address.
    """
    parts = urlsplit(url)
    host, port = (parts.hostname or "").lower(), parts.port or PORTS.get(parts.scheme)
    if _is_excepted(host, port, environ.get("no_proxy") or environ.get("NO_PROXY", "")):
        return None
    for scheme in (parts.scheme, "all"):
        # In a CGI program a client could set HTTP_PROXY with a header of its request.
        if scheme == "http" and "REQUEST_METHOD" in environ and not environ.get("http_proxy"):
            continue
        variable, address = _named(environ, f"{scheme}_proxy")
        if address:
            return Proxy(_checked(variable, address), variable)
    return None


def _named(environ: Mapping[str, str], name: str) -> tuple[str, str]:
    """The variable and its value. As in curl, an empty variable in lower case disables the one in upper case."""
    variable = name if name in environ else name.upper()
    return variable, environ.get(variable, "").strip()


def _checked(variable: str, address: str) -> str:
    full = address if "://" in address else f"http://{address}"
    try:
        parts = urlsplit(full)
        usable = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise SettingsError(
            f"{variable} in the environment is not the address of a proxy, such as http://proxy.example:3128"
        )
    return full


def _is_excepted(host: str, port: int | None, no_proxy: str) -> bool:
    """Whether an entry of NO_PROXY matches: a name or a domain, also with a port, an IP address, a network, ``*``."""
    for entry in (part.strip().lower() for part in no_proxy.split(",")):
        if entry == "*" or (entry and _fits(entry, host, port)):
            return True
    return False


def _fits(entry: str, host: str, port: int | None) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry.strip("[]"), strict=False)
    except (ValueError, TypeError):
        pass
    name = entry.removeprefix("*").lstrip(".")
    plain = f"[{host}]" if ":" in host else host.rstrip(".")
    return any(known == name or known.endswith("." + name) for known in (plain, f"{plain}:{port}"))
