# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The one place that speaks HTTP to the API: session, time-outs, repeats, trace of calls."""

from __future__ import annotations

import contextlib
import html
import json
import random
import re
import ssl
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit

try:
    import requests
    import urllib3
    from urllib3 import exceptions as urllib3_errors

    REQUESTS_IMPORT_ERROR: ImportError | None = None
except ImportError as missing:  # reported by the caller with missing_required_lib
    REQUESTS_IMPORT_ERROR = missing

from .endpoints import (
    Endpoint,
    Outcome,
    http_date,
    may_repeat,
    outcome_of_status,
    pause_before_repeat,
    retry_after_seconds,
)
from .errors import ApiError, detail_text, kind_of_status
from .redact import Redactor

CONNECT_TIMEOUT = 5.0
LONGEST_TIMEOUT = 86400.0
# The trace of a long wait keeps its newest calls.
LONGEST_TRACE = 500


class SettingsError(ValueError):
    """A connection setting that cannot be used; the message says which and what it should be."""


@dataclass(frozen=True)
class Settings:
    """Where and how to call. ``request_timeout`` is in seconds; ``retries`` counts attempts after the first one."""

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
            raise SettingsError("api_key is empty: set it, or FLEETOPS_API_KEY in the environment")
        try:
            str(self.api_key).encode("latin-1")
        except UnicodeEncodeError:
            raise SettingsError("api_key holds characters that no HTTP header can carry") from None
        if any(c in str(self.api_key) for c in "\r\n"):
            raise SettingsError("api_key holds a line break: strip it (a file read with its newline?)")
        if str(self.api_key) != str(self.api_key).strip():
            raise SettingsError("api_key begins or ends with a blank: strip it")
        for name, value in self.headers.items():
            _check_header(name, value)
        if not 0 < self.request_timeout <= LONGEST_TIMEOUT:
            raise SettingsError(
                f"request_timeout is {self.request_timeout}: it must be above 0 seconds, at most {LONGEST_TIMEOUT:.0f}"
            )
        if self.retries < 0:
            raise SettingsError(f"retries is {self.retries}: it must be 0 or more")


def _check_header(name: str, value: str) -> None:
    """Raises SettingsError, without the value, for a header that cannot be sent."""
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
        raise SettingsError("extra_headers holds a name that no HTTP header can have: letters, digits and dashes only")
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        raise SettingsError(f"extra_headers: {name} holds characters that no HTTP header can carry") from None
    if value != value.strip() or any(c in value for c in "\r\n"):
        raise SettingsError(f"extra_headers: {name} holds a line break, or begins or ends with a blank: strip it")


def base_url(api_url: Any) -> str:
    """The server's root from what the user gave: no trailing slash, no ``/v1/instances``.

    Raises SettingsError for anything that is not an http(s) address of a server.
    """
    text = str(api_url or "").strip().rstrip("/")
    if not text:
        raise SettingsError("api_url is empty: set it, or FLEETOPS_API_URL in the environment")
    try:
        parts = urlsplit(text)
        host, _port = parts.hostname, parts.port
    except ValueError as bad:
        raise SettingsError(f"api_url is no address: {bad}") from None
    if parts.scheme not in ("http", "https") or not host:
        raise SettingsError(f"api_url must look like https://fleet.example.com, it is {text.rpartition('@')[2]!r}")
    if parts.username is not None or parts.password is not None:
        raise SettingsError("api_url must not hold a user name or a password: the key goes into api_key")
    if parts.query or parts.fragment:
        raise SettingsError("api_url must not hold a query or a fragment")
    for tail in ("/v1/instances", "/v1"):
        if text.endswith(tail):
            text = text[: -len(tail)].rstrip("/")
            break
    return text


@dataclass(frozen=True)
class Reply:
    """A success: the parsed ``body`` (None if empty); ``server_time`` from its Date header (epoch seconds UTC)."""

    status: int
    body: Any
    server_time: float | None
    request_id: str | None


class Transport:
    """Sends calls with one session. Not for several threads at once: ``Transport.clone()`` gives each its own.

    ``read_only`` refuses every write before it is sent (check mode). ``on_repeat`` is called with a sentence before
    each repeat. ``trace`` holds a row per attempt: method, path, status or error, milliseconds - never the key.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        read_only: bool = False,
        on_repeat: Callable[[str], None] | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        if REQUESTS_IMPORT_ERROR is not None:
            raise REQUESTS_IMPORT_ERROR
        self.settings = settings
        self.read_only = read_only
        self.trace: list[dict[str, Any]] = []
        self.server_time: float | None = None
        self._on_repeat = on_repeat
        self._sleep, self._clock, self._jitter = sleep, clock, jitter
        self._redactor = Redactor(
            spelling for secret in (settings.api_key, *settings.headers.values()) for spelling in _spellings(secret)
        )
        self._session = requests.Session()
        # Without this, requests sends the password of a .netrc along.
        self._session.auth = lambda request: request
        self._session.headers.update(
            {
                **settings.headers,
                "Accept": "application/json",
                "User-Agent": "fleetops.agents",
                "X-Api-Key": settings.api_key,
            }
        )
        self._verify = settings.ca_path if settings.validate_certs and settings.ca_path else settings.validate_certs
        if not settings.validate_certs:
            urllib3.disable_warnings(urllib3_errors.InsecureRequestWarning)

    def clone(self) -> Transport:
        """A transport with the same settings and a session of its own."""
        return Transport(
            self.settings,
            read_only=self.read_only,
            on_repeat=self._on_repeat,
            sleep=self._sleep,
            clock=self._clock,
            jitter=self._jitter,
        )

    def close(self) -> None:
        self._session.close()

    def request(
        self,
        endpoint: Endpoint,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
    ) -> Reply:
        """Send one call, repeat it where the table allows, and return the success.

        Raises ApiError for everything else. After an outcome that is unknown, a call that must not be repeated comes
        back as an ApiError with ``ambiguous`` true.
        """
        if endpoint.writes and self.read_only:
            raise ApiError("read_only", endpoint.method, path, detail="refused: check mode sends no writes")
        attempt = 0
        while True:
            attempt += 1
            result = self._attempt(endpoint, path, query, body, attempt)
            if isinstance(result, Reply):
                return result
            outcome, error, retry_after = result
            if not may_repeat(endpoint.repeat, outcome, attempt, self.settings.retries):
                error.attempts = attempt
                error.ambiguous = endpoint.writes and outcome is Outcome.UNKNOWN
                error.args = (error.sentence(),)
                raise error
            pause = pause_before_repeat(attempt, retry_after, self._jitter())
            if self._on_repeat is not None:
                self._on_repeat(
                    f"{error.method} {error.path}: {_short(error)}; attempt {attempt + 1} follows in {pause:.1f} s"
                )
            self._sleep(pause)

    def _attempt(
        self, endpoint: Endpoint, path: str, query: Mapping[str, Any] | None, body: Any, attempt: int
    ) -> Reply | tuple[Outcome, ApiError, float | None]:
        method = endpoint.method
        read_timeout = max(self.settings.request_timeout, endpoint.read_timeout or 0.0)
        if endpoint.writes:
            # An idle connection that the server is just closing would make a write's outcome unknown for nothing.
            self._session.close()
        started = self._clock()
        response: requests.Response | None = None
        try:
            response = self._session.request(
                method,
                self.settings.api_url + path,
                params=_plain_query(query),
                data=None if body is None else json.dumps(body).encode(),
                headers=None if body is None else {"Content-Type": "application/json"},
                timeout=(min(CONNECT_TIMEOUT, read_timeout), read_timeout),
                allow_redirects=False,
                # With each call: REQUESTS_CA_BUNDLE in the environment overrules a session's own setting.
                verify=self._verify,
            )
        except (requests.RequestException, urllib3_errors.HTTPError, OSError, ValueError) as failure:
            outcome, kind, detail = _reading_of(failure)
            detail = self._redactor.text(detail)
            self._note(method, path, attempt, started, error=kind)
            return outcome, ApiError(kind, method, path, detail=detail), None
        return self._reading(endpoint, path, response, attempt, started)

    def _reading(
        self, endpoint: Endpoint, path: str, response: requests.Response, attempt: int, started: float
    ) -> Reply | tuple[Outcome, ApiError, float | None]:
        method, status = endpoint.method, response.status_code
        server_time = http_date(response.headers.get("Date"))
        self.server_time = server_time if server_time is not None else self.server_time
        request_id = self._redactor.text(response.headers.get("X-Request-Id") or "") or None
        self._note(method, path, attempt, started, status=status)
        parsed, is_json = _parsed(response)
        outcome = outcome_of_status(status, "Retry-After" in response.headers)
        if outcome is None:
            if is_json:
                return Reply(status, parsed, server_time, request_id)
            said = f"the answer is not JSON but {self._described(response)}"
            unreadable = ApiError("unreadable", method, path, status=status, detail=said, request_id=request_id)
            return Outcome.UNKNOWN, unreadable, None
        detail: str | None
        if 300 <= status < 400:
            detail = f"the server redirects to {response.headers.get('Location', 'an unnamed address')}"
            detail = self._redactor.text(detail)
        else:
            # Scrubbed before it is shortened, or a part of a secret could stay.
            detail = detail_text(self._redactor.scrub(parsed)) if is_json else self._described(response)
        error = ApiError(
            kind_of_status(status),
            method,
            path,
            status=status,
            detail=detail,
            request_id=request_id,
        )
        return outcome, error, retry_after_seconds(response.headers.get("Retry-After"), server_time)

    def _described(self, response: requests.Response) -> str:
        """What a body that is not JSON is, with its first words and without its tags and secrets."""
        kind = self._redactor.text(response.headers.get("Content-Type", "").split(";")[0]) or "of no stated type"
        words = _words(self._redactor.text(response.content.decode("utf-8", "replace"))[:2000])[:120]
        return f"{kind} ({words})" if words else kind

    def _note(self, method: str, path: str, attempt: int, started: float, **what: Any) -> None:
        if len(self.trace) >= LONGEST_TRACE:
            del self.trace[0]
        row = {"method": method, "path": path, "attempt": attempt, "ms": round((self._clock() - started) * 1000, 1)}
        self.trace.append({**row, **what})


def _short(error: ApiError) -> str:
    return error.detail or (f"HTTP {error.status}" if error.status else error.kind)


def _plain_query(query: Mapping[str, Any] | None) -> dict[str, str] | None:
    """Query parameters as the API spells them: lower-case booleans, nothing for None."""
    if not query:
        return None
    spelled = {True: "true", False: "false"}
    return {k: spelled[v] if isinstance(v, bool) else str(v) for k, v in query.items() if v is not None}


def _parsed(response: requests.Response) -> tuple[Any, bool]:
    """The body and whether it was JSON. An empty body is JSON's null."""
    if not response.content.strip():
        return None, True
    try:
        return json.loads(response.content), True
    except (ValueError, RecursionError):
        return None, False


def _words(text: str) -> str:
    """The text of HTML without its tags, in one line."""
    out, inside = [], False
    for letter in text:
        if letter in "<>":
            inside = letter == "<"
            out.append(" ")
        elif not inside:
            out.append(letter)
    return " ".join("".join(out).split())


def _spellings(secret: str) -> set[str]:
    """The ways in which a server may repeat a secret."""
    return {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), html.escape(secret), repr(secret)[1:-1]}


def _reading_of(failure: Exception) -> tuple[Outcome, str, str]:
    """What a failed attempt without an answer means: outcome, kind, and a phrase for people."""
    chain = list(_causes(failure))
    kinds = tuple(type(cause) for cause in chain)

    def any_is(*wanted: type[BaseException]) -> bool:
        return any(issubclass(kind, wanted) for kind in kinds)

    if any_is(requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, requests.exceptions.InvalidHeader):
        return Outcome.REFUSED, "unreachable", _phrase(failure)
    if any_is(urllib3_errors.LocationParseError, UnicodeError):
        return Outcome.REFUSED, "unreachable", "the server's name is none"
    shaking = next((cause for cause in chain if _in_handshake(cause)), None)
    if any_is(ssl.SSLCertVerificationError) or (isinstance(shaking, ssl.SSLError) and not any_is(ssl.SSLEOFError)):
        return Outcome.REFUSED, "tls", f"no trusted TLS connection: {_phrase(chain[-1])}"
    if shaking is not None:
        return Outcome.NOT_SENT, "tls", f"the TLS handshake did not end: {_phrase(shaking)}"
    if isinstance(failure, OSError) and not isinstance(failure, requests.RequestException):
        # requests raises a bare OSError when ca_path cannot be read.
        return Outcome.REFUSED, "tls", _phrase(failure)
    if any_is(urllib3_errors.NameResolutionError):
        return Outcome.NOT_SENT, "unreachable", "the server's name is unknown"
    if any_is(urllib3_errors.NewConnectionError, requests.exceptions.ProxyError):
        return Outcome.NOT_SENT, "unreachable", f"no connection: {_phrase(chain[-1])}"
    if any_is(requests.exceptions.ConnectTimeout, urllib3_errors.ConnectTimeoutError):
        return Outcome.NOT_SENT, "unreachable", "no connection within the time limit"
    if any_is(requests.exceptions.ReadTimeout, urllib3_errors.ReadTimeoutError, TimeoutError):
        return Outcome.UNKNOWN, "timeout", "no answer within the time limit"
    return (
        Outcome.UNKNOWN,
        "connection_lost",
        f"the connection broke before the answer was whole ({_phrase(chain[-1])})",
    )


def _causes(failure: BaseException) -> list[BaseException]:
    seen: list[BaseException] = []
    todo: list[BaseException | None] = [failure]
    while todo:
        cause = todo.pop(0)
        if cause is None or cause in seen:
            continue
        seen.append(cause)
        todo += [a for a in cause.args if isinstance(a, BaseException)]
        todo += [getattr(cause, "reason", None) if isinstance(getattr(cause, "reason", None), BaseException) else None]
        todo += [cause.__cause__, cause.__context__]
    return seen


def _in_handshake(cause: BaseException) -> bool:
    """Whether it was raised while TLS was being agreed on, so before anything of the call was sent."""
    frames = traceback.walk_tb(cause.__traceback__)
    return isinstance(cause, OSError) and any(frame.f_code.co_name == "do_handshake" for frame, _line in frames)


def _phrase(cause: BaseException) -> str:
    with contextlib.suppress(AttributeError):
        if isinstance(cause, OSError) and cause.strerror:
            return str(cause.strerror)
    return str(cause) or type(cause).__name__
