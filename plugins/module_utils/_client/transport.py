# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The HTTP calls of the API: session, timeouts, repeats, and the trace of calls. No other module makes them."""

from __future__ import annotations

import http.client
import io
import json
import os
import random
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .requirements import missing_requests

try:
    import requests
    import urllib3
    from urllib3 import exceptions as urllib3_errors

    REQUESTS_IMPORT_ERROR: ImportError | None = None
    # The exceptions of calls without an answer. Those of requests are subclasses of OSError.
    FAILURES: tuple[type[Exception], ...] = (urllib3_errors.HTTPError, OSError, ValueError)
except ImportError as missing:
    REQUESTS_IMPORT_ERROR, FAILURES = missing, ()

from .._rules.plain_values import SettingsError
from .body import described, parsed, read_body, too_large
from .causes import causes_of, phrase_of, raised_in
from .deadline import NOT_WHOLE, UntilTheDeadline
from .endpoints import (
    AttemptOutcome,
    Endpoint,
    may_repeat,
    outcome_of_status,
    pause_before_repeat,
    retry_after_seconds,
    server_time_of,
)
from .errors import ApiError, detail_text, kind_of_status
from .proxies import Proxy, proxy_for
from .redact import Redactor, header_secrets, spellings
from .server_clock import ServerClock
from .settings import Settings, base_url
from .trust import trust_of

__all__ = ["REQUESTS_IMPORT_ERROR", "Reply", "Settings", "SettingsError", "Transport", "base_url"]

CONNECT_TIMEOUT = 5.0
# How many calls a trace keeps. When a task waits for long, the oldest ones are removed.
LONGEST_TRACE = 500
# Statuses from 102 to 199 precede the answer. After 101 the connection has another protocol.
_SWITCHING, _FIRST_FINAL = 101, 200
# The maximum length of a redirect's address, and of the server's id of a call, in a message.
_LONGEST_ADDRESS, _LONGEST_ID = 300, 200


if REQUESTS_IMPORT_ERROR is None:

    class _Answer(http.client.HTTPResponse):
        """Applies the read timeout to the whole answer. urllib3 sets it on the socket before it reads the answer."""

        def __init__(self, sock: Any, *arguments: Any, **more: Any) -> None:
            super().__init__(sock, *arguments, **more)
            seconds = sock.gettimeout()
            if seconds is not None:
                self.fp = io.BufferedReader(UntilTheDeadline(self.fp.detach(), sock, seconds))

        def _read_status(self) -> Any:
            """The status line of the answer. Python itself skips only "100 Continue" of the interim ones before it."""
            while True:
                line = super()._read_status()  # type: ignore[misc]
                if not _SWITCHING < line[1] < _FIRST_FINAL:
                    return line
                http.client.parse_headers(self.fp)

    def _with_answers(manager: Any) -> Any:
        """The manager of urllib3, also one of SOCKS, whose connections read an _Answer."""
        pools = {}
        for scheme, pool in manager.pool_classes_by_scheme.items():
            connection = type("_Connection", (pool.ConnectionCls,), {"response_class": _Answer})
            pools[scheme] = type("_Pool", (pool,), {"ConnectionCls": connection})
        manager.pool_classes_by_scheme = pools
        return manager

    class _Adapter(requests.adapters.HTTPAdapter):
        """The adapter of requests with such connections, to the server and through a proxy."""

        def init_poolmanager(self, *arguments: Any, **more: Any) -> None:
            super().init_poolmanager(*arguments, **more)
            _with_answers(self.poolmanager)

        def proxy_manager_for(self, proxy: Any, **more: Any) -> Any:
            known = self.proxy_manager.get(proxy)
            return known or _with_answers(super().proxy_manager_for(proxy, **more))

    class _Session(requests.Session):
        """Never reads where an answer redirects to. requests does so even with allow_redirects=False, and may fail."""

        def get_redirect_target(self, resp: Any) -> None:
            return None


@dataclass(frozen=True)
class Reply:
    """A successful answer. ``body``: parsed, None if empty."""

    status: int
    body: Any


class Transport:
    """Sends calls with one session. Each thread needs its own transport, see ``clone``.

    ``read_only``: refuse every write before it is sent (check mode). ``on_repeat``: called with a sentence before each
    repeat. ``before_send``: called before each attempt, which is not made if this raises an exception. ``trace``: one
    row for each attempt, with the method, the path, the number of the attempt, milliseconds, and the status or the kind
    of error. ``answered``: set once a call has succeeded, also one of a clone. ``redactor``: masks the secrets. Raises
    SettingsError for an invalid address of a proxy.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        read_only: bool = False,
        on_repeat: Callable[[str], None] | None = None,
        before_send: Callable[[], None] | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        if REQUESTS_IMPORT_ERROR is not None:
            raise missing_requests(REQUESTS_IMPORT_ERROR)
        self.settings = settings
        self.read_only = read_only
        self.trace: list[dict[str, Any]] = []
        self.server_time: float | None = None
        self.server_clock = ServerClock()
        self._on_repeat, self._before_send = on_repeat, before_send
        self._sleep, self._clock, self._jitter = sleep, clock, jitter
        self.answered = threading.Event()
        self._proxy = proxy_for(settings.api_url, os.environ)
        self._trust = trust_of(settings.validate_certs, settings.ca_path, os.environ)
        secrets = (settings.api_key, *header_secrets(settings.headers), *(self._proxy.secrets() if self._proxy else ()))
        self.redactor = Redactor(spelling for secret in secrets for spelling in spellings(secret))
        self._session = new_session(self._proxy)
        self._session.headers.update(
            {
                **settings.headers,
                "Accept": "application/json",
                "User-Agent": "fleetops.agents",
                "X-Api-Key": settings.api_key,
            }
        )
        if not settings.validate_certs:
            urllib3.disable_warnings(urllib3_errors.InsecureRequestWarning)

    def clone(self) -> Transport:
        """A transport with the same settings and a session of its own."""
        twin = Transport(
            self.settings,
            read_only=self.read_only,
            on_repeat=self._on_repeat,
            before_send=self._before_send,
            sleep=self._sleep,
            clock=self._clock,
            jitter=self._jitter,
        )
        twin.answered = self.answered
        return twin

    def close(self) -> None:
        self._session.close()

    def seconds_since(self, at: float) -> float | None:
        """See FleetClient.seconds_since."""
        return self.server_clock.seconds_since(at, self._clock())

    def request(
        self,
        endpoint: Endpoint,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
    ) -> Reply:
        """Send one call, repeat it if the table of endpoints allows that, and return the answer of a success.

        Raises ApiError if the call fails. ``ambiguous`` is true for a write that may have been carried out.
        """
        if endpoint.writes and self.read_only:
            raise ApiError("read_only", endpoint.method, path, detail="refused: check mode sends no writes")
        attempt = 0
        while True:
            attempt += 1
            if self._before_send is not None:
                self._before_send()
            result = self._attempt(endpoint, path, query, body, attempt)
            if isinstance(result, Reply):
                self.answered.set()
                return result
            outcome, error, retry_after = result
            if not may_repeat(endpoint.repeat, outcome, attempt, self.settings.retries):
                error.attempts = attempt
                error.ambiguous = endpoint.writes and outcome is AttemptOutcome.UNKNOWN
                error.refused, error.retry_after = outcome is AttemptOutcome.REFUSED, retry_after
                raise error
            pause = pause_before_repeat(attempt, retry_after, self._jitter())
            if self._on_repeat is not None:
                self._on_repeat(
                    f"{error.method} {error.path}: {_short(error)}; attempt {attempt + 1} follows in {pause:.1f} s"
                )
            self._sleep(pause)

    def _attempt(
        self, endpoint: Endpoint, path: str, query: Mapping[str, Any] | None, body: Any, attempt: int
    ) -> Reply | tuple[AttemptOutcome, ApiError, float | None]:
        method = endpoint.method
        read_timeout = max(self.settings.request_timeout, endpoint.read_timeout or 0.0)
        if endpoint.writes:
            # A write gets a new connection: if the server were just closing an idle one, the outcome would be unknown.
            self._session.close()
        started = self._clock()
        if (problem := self._problem_of_trust) is not None:
            self._note(method, path, attempt, started, error="tls")
            return AttemptOutcome.REFUSED, ApiError("tls", method, path, detail=problem), None
        try:
            response = self._session.request(
                method,
                self.settings.api_url + path,
                params=_plain_query(query),
                data=None if body is None else json.dumps(body).encode(),
                headers=None if body is None else {"Content-Type": "application/json"},
                # The second number is for the whole answer, see _Answer.
                timeout=(min(CONNECT_TIMEOUT, read_timeout), read_timeout),
                allow_redirects=False,
                verify=self._trust.verify,
                stream=True,
            )
            content = read_body(response)
        except FAILURES as failure:
            outcome, kind, detail = reading_of(failure)
            if kind == "timeout":
                detail += f" of {read_timeout:g} s"
            elif kind == "unreachable" and self._proxy is not None:
                detail += f" (through the proxy that {self._proxy.variable} names)"
            detail = self.redactor.text(detail)
            self._note(method, path, attempt, started, error=kind)
            return outcome, ApiError(kind, method, path, detail=detail), None
        self._note(method, path, attempt, started, status=response.status_code)
        return self._reading(endpoint, path, response, content)

    def _reading(
        self, endpoint: Endpoint, path: str, response: requests.Response, content: bytes | None
    ) -> Reply | tuple[AttemptOutcome, ApiError, float | None]:
        method, status = endpoint.method, response.status_code
        server_time = server_time_of(response.headers.get("Date"))
        if server_time is not None:
            self.server_time = server_time
            self.server_clock.learn(server_time - self._clock())
        # Masked before it is shortened, as below.
        request_id = self.redactor.text(response.headers.get("X-Request-Id") or "")[:_LONGEST_ID] or None
        body, is_json = (None, False) if content is None else parsed(content)
        outcome = outcome_of_status(status, "Retry-After" in response.headers)
        if outcome is None:
            if is_json:
                return Reply(status, body)
            said = self._described(response, content)
            said = said if content is None else f"the answer is not JSON but {said}"
            unreadable = ApiError("unreadable", method, path, status=status, detail=said, request_id=request_id)
            # A list that is too large would be too large again. The write may have been carried out.
            again = AttemptOutcome.UNKNOWN if content is not None or endpoint.writes else AttemptOutcome.REFUSED
            return again, unreadable, None
        detail: str | None
        kind = kind_of_status(status)
        if kind == "redirected":
            # Masked before it is shortened, as below.
            target = self.redactor.text(response.headers.get("Location") or "an unnamed address")
            detail = f"the server redirects to {target[:_LONGEST_ADDRESS]}"
        else:
            # Masked before it is shortened: otherwise a part of a secret could remain.
            detail = detail_text(self.redactor.scrub(body)) if is_json else self._described(response, content)
        error = ApiError(kind, method, path, status=status, detail=detail, request_id=request_id)
        error.has_json = is_json and body is not None
        return outcome, error, retry_after_seconds(response.headers.get("Retry-After"), server_time)

    @cached_property
    def _problem_of_trust(self) -> str | None:
        """Why certificates cannot be checked, or None. Determined before the first call, so before anything is sent."""
        return self._trust.problem(certificates_in) if self.settings.api_url.startswith("https:") else None

    def _described(self, response: requests.Response, content: bytes | None) -> str:
        """What a body is that was not read to its end, or that is not JSON."""
        return (
            too_large()
            if content is None
            else described(content, response.headers.get("Content-Type", ""), self.redactor)
        )

    def _note(self, method: str, path: str, attempt: int, started: float, **what: Any) -> None:
        if len(self.trace) >= LONGEST_TRACE:
            del self.trace[0]
        row = {"method": method, "path": path, "attempt": attempt, "ms": round((self._clock() - started) * 1000, 1)}
        self.trace.append({**row, **what})


def _short(error: ApiError) -> str:
    return error.detail or (f"HTTP {error.status}" if error.status else error.kind)


def _plain_query(query: Mapping[str, Any] | None) -> dict[str, list[str]]:
    """Query parameters as lists of texts, one for each value of a list. Booleans in lower case, and None left out."""
    lists = {name: value if isinstance(value, (list, tuple)) else [value] for name, value in (query or {}).items()}
    return {
        name: [str(one).lower() if isinstance(one, bool) else str(one) for one in values if one is not None]
        for name, values in lists.items()
    }


def new_session(proxy: Proxy | None) -> requests.Session:
    """A session that uses ``proxy`` and takes nothing from the environment: no proxy, no certificates, no .netrc."""
    session = _Session()
    session.trust_env = False
    for scheme in ("http", "https"):
        session.mount(f"{scheme}://", _Adapter())
        if proxy is not None:
            session.proxies[scheme] = proxy.url
    return session


def certificates_in(path: str) -> int:
    """The number of certificates in a file. Raises OSError if it cannot be opened."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cafile=path)
    except ssl.SSLError:
        return 0
    return context.cert_store_stats()["x509"]


def reading_of(failure: Exception) -> tuple[AttemptOutcome, str, str]:
    """The outcome, the kind and a phrase for an attempt that failed without an answer."""
    chain = list(causes_of(failure))
    kinds = tuple(type(cause) for cause in chain)

    def any_is(*wanted: type[BaseException]) -> bool:
        return any(issubclass(kind, wanted) for kind in kinds)

    if any_is(urllib3_errors.InvalidHeader):
        return AttemptOutcome.UNKNOWN, "connection_lost", f"the head of the answer is invalid ({phrase_of(chain[-1])})"
    if any_is(requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, requests.exceptions.InvalidHeader):
        return AttemptOutcome.REFUSED, "unreachable", phrase_of(failure)
    if any_is(urllib3_errors.LocationParseError, UnicodeError):
        return AttemptOutcome.REFUSED, "unreachable", "the server's host name is invalid"
    shaking = raised_in("do_handshake", chain)
    # urllib3 1.26 compares the host names itself.
    untrusted = any_is(ssl.SSLCertVerificationError, urllib3.connection.CertificateError)
    if untrusted or (isinstance(shaking, ssl.SSLError) and not any_is(ssl.SSLEOFError)):
        return AttemptOutcome.REFUSED, "tls", f"no trusted TLS connection: {phrase_of(chain[-1])}"
    if shaking is not None:
        return AttemptOutcome.NOT_SENT, "tls", f"the TLS handshake was not completed: {phrase_of(shaking)}"
    if isinstance(failure, OSError) and not isinstance(failure, requests.RequestException):
        # requests raises a plain OSError if ca_path cannot be read.
        return AttemptOutcome.REFUSED, "tls", phrase_of(failure)
    if any_is(socket.gaierror):
        return AttemptOutcome.NOT_SENT, "unreachable", "the server's host name is unknown"
    # Not ProxyError: urllib3 raises it for a connection that breaks after the request was sent, too.
    if any_is(urllib3_errors.NewConnectionError):
        return AttemptOutcome.NOT_SENT, "unreachable", f"no connection: {phrase_of(chain[-1])}"
    if any_is(requests.exceptions.ConnectTimeout, urllib3_errors.ConnectTimeoutError):
        return AttemptOutcome.NOT_SENT, "unreachable", "no connection within the time limit"
    connecting = raised_in("connect", chain)
    if connecting is not None:
        return AttemptOutcome.NOT_SENT, "unreachable", f"no connection: {phrase_of(connecting)}"
    if any_is(requests.exceptions.ReadTimeout, urllib3_errors.ReadTimeoutError, TimeoutError):
        began = any(str(cause) == NOT_WHOLE for cause in chain)
        return AttemptOutcome.UNKNOWN, "timeout", f"no {'complete ' if began else ''}answer within the time limit"
    return (
        AttemptOutcome.UNKNOWN,
        "connection_lost",
        f"the connection broke before the answer was complete ({phrase_of(chain[-1])})",
    )
