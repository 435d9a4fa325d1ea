# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Middleware in front of Streamlit's server. It refuses every request that neither comes from the console's own pages
nor follows a link to them.

When a page of another origin opens a WebSocket to Streamlit, Streamlit asks a public service for this machine's
external address, and it accepts pages from any port of this machine. Requests refused here never reach Streamlit.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from console.settings.login_file import is_loopback

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LOG = logging.getLogger("console")

MAX_COOKIE_BYTES = 128 * 1024
"""The maximum size of a request's cookies; enough for a login with more than 1,000 groups."""

FAILED = "sign_in_failed"
"""The query parameter that the first page gets after a failed sign-in."""

_STREAM, _HEALTH, _CALLBACK = "/_stcore/stream", "/_stcore/health", "/oauth2callback"
_LOGIN_COOKIE = "_streamlit_user"
_HEADERS = [
    (b"content-security-policy", b"frame-ancestors 'none'"),
    (b"x-frame-options", b"DENY"),
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"referrer-policy", b"same-origin"),
]


class OwnOrigin:
    """ASGI middleware. ``hosts``: accepted host names without ports. ``origins``: those of the login, usually https."""

    def __init__(self, app: ASGIApp, hosts: Collection[str], origins: Collection[str]) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)
        self._origins = frozenset(origins)
        # On a network, another origin with the same host name, such as http instead of https, is not the console's.
        names = [urlsplit(origin).hostname or "" for origin in origins]
        self._by_origin_alone = frozenset(name for name in names if not is_loopback(name))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or pass it on and add the security headers to its answer."""
        if scope["type"] == "websocket":
            if refusal := self._foreign(scope, wants_origin=True):
                _LOG.warning("refused a WebSocket: %s", refusal)
                await send({"type": "websocket.close", "code": 1008})
                return
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            status, refusal = self._refused(scope)
            if refusal:
                _LOG.warning("refused %.200r: %s", scope["path"], refusal)
                await _answer(send, status, refusal, _own_cookies(scope) if status == 431 else [])
                return
            # Already checked. To check it again, Streamlit would look up this machine's external address.
            headers = [(name, value) for name, value in scope["headers"] if name != b"origin"]
            # The provider redirects here with a state after a login, and without one after a logout.
            is_login = scope["path"] == _CALLBACK and b"state=" in scope["query_string"]
            await self._app({**scope, "headers": headers}, receive, _with_headers(send, is_login=is_login))
        else:
            await self._app(scope, receive, send)

    def _refused(self, scope: Scope) -> tuple[int, str]:
        if refusal := self._foreign(scope, wants_origin=False) or _foreign_fetch(scope):
            return 403, refusal
        if scope["path"] == _STREAM:
            return 426, "This address is for WebSockets only. A proxy must forward the headers Upgrade and Connection."
        size = sum(len(value) for name, value in scope["headers"] if name == b"cookie")
        if size > MAX_COOKIE_BYTES:
            return 431, _too_much("The browser sent", size)
        return 200, ""

    def _foreign(self, scope: Scope, *, wants_origin: bool) -> str:
        """Why a request is refused because of its Host or Origin header; '' if both are the console's."""
        hosts, origins = _values(scope, b"host"), _values(scope, b"origin")
        host = hosts[0].lower() if len(hosts) == 1 else ""
        # A load balancer's health check knows only the machine's address.
        name = _hostname(host)
        if name not in self._hosts and not (scope["path"] == _HEALTH and not origins):
            known = ", ".join(sorted(self._hosts))
            return f"The console accepts requests for {known} only. A proxy must forward the browser's Host header."
        if not origins:
            return "A WebSocket request without an Origin header is not from a browser." if wants_origin else ""
        own = set(self._origins)
        if name not in self._by_origin_alone:
            own |= {f"http://{host}", f"https://{host}"}
        if len(origins) != 1 or origins[0].lower() not in own:
            return "The request comes from a page whose origin is not the console's."
        return ""


def _foreign_fetch(scope: Scope) -> str:
    """Why a request from another site is refused; '' for the console's own pages and for links to them."""
    site = _values(scope, b"sec-fetch-site")
    if not site or site == ["same-origin"] or site == ["none"]:
        return ""
    is_link = _values(scope, b"sec-fetch-mode") == ["navigate"] and _values(scope, b"sec-fetch-dest") == ["document"]
    if is_link and scope["method"] == "GET":
        return ""
    return "Pages of other sites may link to the console, but may not embed or load any part of it."


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1").strip() for key, value in scope["headers"] if key == name]


def _hostname(host: str) -> str:
    """The name in a Host header, without its port; '' if there is none."""
    try:
        parts = urlsplit(f"//{host}")
        _checked = parts.port
    except ValueError:
        return ""
    return "" if parts.netloc != host or "@" in host else (parts.hostname or "").rstrip(".")


def _too_much(subject_and_verb: str, size: int) -> str:
    return (
        f"{subject_and_verb} {size:,} bytes of cookies; {MAX_COOKIE_BYTES:,} are allowed. The login provider sends too"
        " many claims about you, such as groups. Configure it to send fewer claims to the console, for example only the"
        " groups that are used here. The login's cookies were removed: reload the page to sign in again."
    )


def _own_cookies(scope: Scope) -> list[tuple[bytes, bytes]]:
    """Headers that delete the login's cookies in the browser."""
    names = {part.strip().partition("=")[0] for text in _values(scope, b"cookie") for part in text.split(";")}
    gone = "; Path=/; Max-Age=0; HttpOnly; SameSite=lax"
    own = sorted(name for name in names if name.startswith(_LOGIN_COOKIE))
    return [(b"set-cookie", f'{name}=""{gone}'.encode("latin-1")) for name in own]


async def _answer(send: Send, status: int, sentence: str, more: Iterable[tuple[bytes, bytes]] = ()) -> None:
    body = f"{sentence}\n".encode()
    own = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*own, *_HEADERS, *more]})
    await send({"type": "http.response.body", "body": body})


def _sets_login(name: bytes, value: bytes) -> bool:
    """Whether a header sets the login's cookie instead of deleting it."""
    return name.lower() == b"set-cookie" and value.startswith(f"{_LOGIN_COOKIE}=".encode()) and b"ax-Age=0" not in value


def _with_headers(send: Send, *, is_login: bool) -> Send:
    names = {name for name, _value in _HEADERS}
    replaced = False

    async def send_on(message: Message) -> None:
        nonlocal replaced
        if message["type"] == "http.response.start":
            given = message.get("headers", [])
            size = sum(len(value) for name, value in given if name.lower() == b"set-cookie")
            if size > MAX_COOKIE_BYTES:
                replaced = True
                _LOG.warning("refused a login: its cookies would have %d bytes", size)
                await _answer(send, 431, _too_much("The login would need", size))
                return
            kept = [(name, value) for name, value in given if name.lower() not in names]
            if is_login and not any(_sets_login(name, value) for name, value in given):
                # Streamlit itself redirects to the first page without a message.
                kept = [(n, v + f"?{FAILED}=1".encode() if n.lower() == b"location" else v) for n, v in kept]
            message = {**message, "headers": [*kept, *_HEADERS]}
        if not replaced:
            await send(message)

    return send_on
