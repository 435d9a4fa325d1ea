# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The settings of a connection, checked before anything is sent. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from .._rules.plain_values import SettingsError, mapping
from .proxies import PORTS

_LONGEST_TIMEOUT = 86400.0


@dataclass(frozen=True)
class Settings:
    """The settings of a connection.

    ``request_timeout``: seconds within which a whole answer must arrive. ``retries``: the number of attempts after the
    first one. ``headers``: sent with each call in addition. Raises SettingsError, which never shows a secret.
    """

    api_url: str
    api_key: str = field(repr=False)
    validate_certs: bool = True
    ca_path: str | None = None
    request_timeout: float = 30.0
    retries: int = 3
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "api_url", base_url(self.api_url))
        if not self.api_key or not str(self.api_key).strip():
            raise SettingsError("is empty: set it, or FLEETOPS_API_KEY in the environment", setting="api_key")
        check_header_value("api_key", str(self.api_key))
        for name, value in self.headers.items():
            _check_header(name, value)
        check_timeout("request_timeout (FLEETOPS_REQUEST_TIMEOUT)", self.request_timeout)
        if self.retries < 0:
            raise SettingsError(f"retries (FLEETOPS_RETRIES) is {self.retries}: it must be 0 or more")

    @property
    def identity(self) -> str:
        """A digest of the address, the key and the headers. Answers may be shared by clients with the same identity."""
        parts = repr((self.api_url, self.api_key, sorted(self.headers.items())))
        return hashlib.sha256(parts.encode()).hexdigest()


def check_timeout(setting: str, seconds: float) -> None:
    """Raise SettingsError unless a connection can have this timeout."""
    if not 0 < seconds <= _LONGEST_TIMEOUT:
        raise SettingsError(
            f"is {seconds}: it must be above 0 seconds, at most {_LONGEST_TIMEOUT:.0f}", setting=setting
        )


def headers_of(setting: str, value: Any) -> dict[str, str]:
    """Headers from a mapping or its JSON text. Raises SettingsError, which never shows the value of a header."""
    headers = mapping(setting, value)
    for name, text in headers.items():
        # Python's spelling of null, a boolean or a list is not what was meant. A value from a vault is neither of
        # these, and with ansible-core 2.18 no str either.
        if text is None or isinstance(text, (bool, list, tuple, Mapping)):
            raise SettingsError(f"{setting}: the value of {name} must be text. Write it in quotes")
    return {str(name): str(text) for name, text in headers.items()}


def _check_header(name: str, value: str) -> None:
    """Raise SettingsError, without the value, for a header that cannot be sent."""
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
        raise SettingsError("extra_headers contains an invalid header name: use only letters, digits and dashes")
    check_header_value(f"extra_headers: {name}", value)


def check_header_value(setting: str, value: str) -> None:
    """Raise SettingsError, without the value, for a text that cannot be sent in a header."""
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        raise SettingsError("contains characters that an HTTP header cannot have", setting=setting) from None
    if any(c in value for c in "\r\n"):
        raise SettingsError("contains a line break: remove it (perhaps the end of a file)", setting=setting)
    if value != value.strip():
        raise SettingsError("begins or ends with a blank: remove it", setting=setting)


def base_url(api_url: Any) -> str:
    """The base address of the server: ``api_url`` without a trailing slash and without ``/v1/instances``.

    Spellings of the same address are one, since locks and notes of sent calls are found by it: scheme and host are in
    lower case, and the default port is left out. Raises SettingsError for anything that is not the http(s) address of
    a server.
    """
    text = str(api_url or "").strip().rstrip("/")
    if not text:
        raise SettingsError("is empty: set it, or FLEETOPS_API_URL in the environment", setting="api_url")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        # The message of the exception contains a part of the address, which may be a password.
        raise SettingsError("is not a valid address: its host or its port cannot be read", setting="api_url") from None
    if parts.scheme not in ("http", "https") or not host:
        raise SettingsError(
            f"must look like https://fleet.example.com, but it is {text.rpartition('@')[2]!r}", setting="api_url"
        )
    if parts.username is not None or parts.password is not None:
        raise SettingsError(
            "must not contain a user name or a password: the key has a setting of its own", setting="api_url"
        )
    if parts.query or parts.fragment:
        raise SettingsError("must not contain a query or a fragment", setting="api_url")
    path = parts.path.rstrip("/")
    for tail in ("/v1/instances", "/v1"):
        if path.endswith(tail):
            path = path[: -len(tail)].rstrip("/")
            break
    named = f"[{host}]" if ":" in host else host
    other_port = "" if port in (None, PORTS[parts.scheme]) else f":{port}"
    return f"{parts.scheme}://{named}{other_port}{path}"
