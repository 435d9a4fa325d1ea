# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sends a message through Apprise, or as a signed JSON document to a webhook. Only this file calls other servers.

An address contains tokens and passwords. It comes from the environment, never appears in a repr or an error, and is
removed from what a library or a server reports.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from logging.handlers import BufferingHandler
from typing import Any
from urllib.parse import unquote, urlsplit

from ansible_collections.fleetops.agents.plugins.module_utils._client import endpoints, transport
from ansible_collections.fleetops.agents.plugins.module_utils._client.proxies import proxy_for
from ansible_collections.fleetops.agents.plugins.module_utils._client.redact import Redactor
from ansible_collections.fleetops.agents.plugins.module_utils._client.trust import Trust, trust_of
from ansible_collections.fleetops.agents.plugins.module_utils._rules.plain_values import SettingsError as PlainProblem
from ansible_collections.fleetops.agents.plugins.module_utils._rules.printable import printable_line
from console.notifications.message import REPEATED, Message
from console.notifications.rules import WEBHOOK, Destination
from console.settings.environment import SettingsError, optional_package

ATTEMPTS = 3
"""The maximum number of successive calls of a webhook for one message."""
READ_SECONDS = 15.0
"""The maximum number of seconds until the head of an answer is complete."""
LONGEST_WAIT = 30.0
"""The maximum number of seconds to wait because of a Retry-After header. If it is longer, a later pass tries again."""
LONGEST_ERROR = 300

Send = Callable[[str, Message], None]
"""Sends a message to the destination with this name. Raises NotSent."""


class NotSent(Exception):
    """A message was not sent, or this is unknown. The text is one sentence, without any part of an address."""


class IsDown(NotSent):
    """At the moment, no message can be sent to this destination."""


@dataclass(frozen=True)
class Address:
    """The address of a destination and the key of its signature, both from the environment."""

    destination: Destination
    address: str = field(repr=False)
    secret: str = field(default="", repr=False)


def load_addresses(destinations: Iterable[Destination]) -> list[Address]:
    """The addresses of destinations. Raises SettingsError, which names the variable but never its value."""
    found = []
    for destination in destinations:
        values = {}
        for variable, what in ((destination.address_env, "the address"), (destination.secret_env, "the key")):
            values[variable] = os.environ.get(variable, "").strip() if variable else ""
            if variable and not values[variable]:
                raise SettingsError(f"{variable} is not set: set it to {what} of the destination {destination.name}.")
        address = Address(destination, values[destination.address_env], values.get(destination.secret_env, ""))
        if destination.kind == WEBHOOK:
            _check_web_address(address)
        found.append(address)
    return found


def sender(addresses: Iterable[Address], *, sleep: Callable[[float], None] = time.sleep) -> Send:
    """A function that sends to these addresses. Raises SettingsError now if one of them cannot be used."""
    senders: dict[str, Callable[[Message], None]] = {}
    for address in addresses:
        is_webhook = address.destination.kind == WEBHOOK
        senders[address.destination.name] = _webhook(address, sleep) if is_webhook else _apprise(address)
    return lambda name, message: senders[name](message)


def _apprise(address: Address) -> Callable[[Message], None]:
    library = optional_package("apprise", "A destination of the kind apprise needs")
    redactor = Redactor(_secrets(address))
    with _log_of_apprise() as logged:
        services = library.Apprise()
        usable = services.add(address.address) and len(services) == 1
    if not usable:
        why = f" ({_cleaned(logged[-1].getMessage(), redactor)})" if logged else ""
        raise SettingsError(
            f"{address.destination.address_env} is not one address that Apprise supports{why}; use one service for each"
            " destination, such as mailtos://... or slack://..."
        )

    def send(message: Message) -> None:
        with _log_of_apprise() as logged:
            try:
                sent = services.notify(title=message.title, body=message.text, body_format=library.NotifyFormat.TEXT)
            except Exception as error:  # noqa: BLE001 - what the more than 100 plugins of the library raise is not known
                raise NotSent(_cleaned(f"Apprise failed with {type(error).__name__}: {error}", redactor)) from None
        if not sent:
            why = f": {logged[-1].getMessage()}" if logged else ""
            raise NotSent(_cleaned(f"Apprise could not send the message{why}", redactor))

    return send


@contextmanager
def _log_of_apprise() -> Iterator[list[logging.LogRecord]]:
    """Capture what Apprise logs, which may contain an address, so that it reaches neither a log nor standard error."""
    log, kept = logging.getLogger("apprise"), BufferingHandler(1000)
    kept.setLevel(logging.WARNING)
    before = log.propagate
    log.propagate = False
    log.addHandler(kept)
    try:
        yield kept.buffer
    finally:
        log.removeHandler(kept)
        log.propagate = before


def _trust(destination: Destination) -> Trust:
    return trust_of(True, destination.ca_path, os.environ)


def _check_web_address(address: Address) -> None:
    try:
        parts = urlsplit(address.address)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        proxy_for(address.address, os.environ)
    except PlainProblem as error:
        raise SettingsError(f"{error}.") from None
    except ValueError:
        usable = False
    if not usable or parts.username or parts.password:
        raise SettingsError(
            f"{address.destination.address_env} must be an address such as https://host/path, without user or password."
        )
    problem = _trust(address.destination).problem(transport.certificates_in) if parts.scheme == "https" else None
    if problem is not None:
        raise SettingsError(f"The destination {address.destination.name} cannot be used: {problem}.")


def signature(secret: str, at: int, body: bytes) -> str:
    """The value of the header X-Fleetops-Signature: the time and the HMAC-SHA256 of "TIME.BODY", as hexadecimal."""
    # As bytes, as the environment has it, even if it is not UTF-8.
    digest = hmac.new(os.fsencode(secret), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


def _webhook(address: Address, sleep: Callable[[float], None]) -> Callable[[Message], None]:
    optional_package("requests", "A webhook needs")
    redactor = Redactor(_secrets(address))

    def send(message: Message) -> None:
        with transport.new_session(proxy_for(address.address, os.environ)) as session:
            for attempt in range(1, ATTEMPTS + 1):
                problem, wait = _call(session, address, message if attempt == 1 else _as_repeated(message))
                if not problem:
                    return
                if wait is None or wait > LONGEST_WAIT or attempt == ATTEMPTS:
                    times = f" after {attempt} attempts" if attempt > 1 else ""
                    kind = NotSent if wait is None else IsDown
                    raise kind(_cleaned(f"The webhook call failed{times}: {problem}", redactor))
                sleep(max(wait, 2.0 ** (attempt - 1)))

    return send


def _call(session: Any, address: Address, message: Message) -> tuple[str, float | None]:
    """Call a webhook once. Returns the problem ('' for none), and the seconds until the next call (None: no more)."""
    at = int(time.time())
    body = json.dumps({**vars(message), "sent_at": at}, ensure_ascii=False).encode("utf-8", "replace")
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "fleetops-console",
        "X-Fleetops-Notification": message.id,
        "X-Fleetops-Signature": signature(address.secret, at, body),
    }
    try:
        # The body of the response is not read: it is not needed, and may be endless.
        with session.post(
            address.address,
            data=body,
            headers=headers,
            timeout=(transport.CONNECT_TIMEOUT, READ_SECONDS),
            allow_redirects=False,
            verify=_trust(address.destination).verify,
            stream=True,
        ) as answer:
            now = endpoints.server_time_of(answer.headers.get("Date"))
            status, wait = answer.status_code, endpoints.retry_after_seconds(answer.headers.get("Retry-After"), now)
    except transport.FAILURES as failure:
        outcome, kind, problem = transport.reading_of(failure)
        if kind == "timeout":
            problem += f" of {READ_SECONDS:g} s"
        if outcome is not endpoints.AttemptOutcome.REFUSED:
            return problem, 0.0
        return problem + "; set ca_path to its certificate authority" * (kind == "tls"), None
    judged = endpoints.outcome_of_status(status, has_retry_after=False)
    if judged is None:
        return "", None
    if judged is not endpoints.AttemptOutcome.REFUSED:
        return f"it answered HTTP {status}", wait or 0.0
    hint = ", a redirect; use the final address" if 300 <= status < 400 else ""
    return f"it answered HTTP {status}{hint}", None


def _as_repeated(message: Message) -> Message:
    text = message.text if message.repeated else f"{REPEATED}\n{message.text}"
    return replace(message, text=text, repeated=True)


def _secrets(address: Address) -> set[str]:
    """Every part of an address that may be a secret, and the key. The host of a webhook is not secret."""
    rest = address.address.partition("://")[2]
    found = {address.address, rest, address.secret}
    if address.destination.kind == WEBHOOK:
        parts = urlsplit(address.address)
        found |= {parts.path, parts.query, *parts.path.split("/")}
        proxy = proxy_for(address.address, os.environ)
        found |= set(proxy.secrets()) if proxy is not None else set()
    else:
        # In an Apprise address, any part may be a token, even the host.
        found |= set(re.split(r"[/?@:&]", rest))
    found |= {value for pair in rest.partition("?")[2].split("&") for value in pair.partition("=")[2:]}
    return found | {unquote(part) for part in found}


def _cleaned(text: str, redactor: Redactor) -> str:
    # Redacted before it is shortened; otherwise a part of a secret could remain.
    return printable_line(redactor.text(text))[:LONGEST_ERROR].rstrip(".") + "."
