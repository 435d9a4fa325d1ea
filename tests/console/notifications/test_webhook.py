# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A webhook that is slow, gone, or answers in an unusual way."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import itertools
import socketserver
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import pytest

from console.notifications import send as sending
from console.notifications.message import Message
from console.notifications.rules import WEBHOOK, Destination
from console.notifications.send import Address, IsDown, NotSent, Send, sender, signature
from tests.http_server import running

MESSAGE = Message("0" * 32, "hook", False, "Title", "Text", [])


@contextmanager
def answering(
    parts: Iterable[bytes], pause: float = 0.0, sleep: Callable[[float], object] = bool
) -> Iterator[tuple[Send, list[bytes]]]:
    """A server that answers each call with these bytes, and a function that sends to it. Yields its calls too."""
    calls: list[bytes] = []

    class Call(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            calls.append(self.request.recv(1 << 16))
            with contextlib.suppress(OSError):
                for part in parts:
                    self.request.sendall(part)
                    time.sleep(pause)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Call) as server:
        server.daemon_threads = True
        address = Address(Destination("hook", WEBHOOK, "A", "B"), f"http://127.0.0.1:{server.server_address[1]}/", "k")
        with running(server):
            yield sender([address], sleep=sleep), calls


def test_a_webhook_whose_answer_never_ends_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "READ_SECONDS", 0.2)
    head = itertools.chain([b"HTTP/1.1 200 OK\r\n"], (b"X-%d: 1\r\n" % number for number in range(60)))
    with answering(list(head), pause=0.05) as (send, calls):
        with pytest.raises(NotSent, match=r"failed after 3 attempts: no complete answer within the time limit of 0\.2"):
            send("hook", MESSAGE)
        assert len(calls) == 3


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        # The address of a redirect is not read, so it does not matter whether it is valid.
        (b"HTTP/1.1 302 Found\r\nLocation: http://[\r\n\r\n", "it answered HTTP 302, a redirect; use the"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://x/\xff\r\n\r\n", "it answered HTTP 302, a redirect"),
        (b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", ""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", ""),
    ],
)
def test_an_unusual_answer_is_understood_at_the_first_call(answer: bytes, problem: str) -> None:
    with answering([answer]) as (send, calls):
        with pytest.raises(NotSent, match=problem) if problem else contextlib.nullcontext():
            send("hook", MESSAGE)
        assert len(calls) == 1


@pytest.mark.parametrize(
    ("after", "waits"),
    [
        (b"7", [7.0, 7.0]),
        (b"Tue, 24 Nov 2026 10:00:09 GMT", [9.0, 9.0]),
        (b"soon", [1.0, 2.0]),
        (b"-5", [1.0, 2.0]),
        # Too long for the other destinations: the next notify tries again.
        (b"31", []),
    ],
)
def test_a_webhook_decides_how_long_to_wait(after: bytes, waits: list[float]) -> None:
    slept: list[float] = []
    head = b"HTTP/1.1 429 Wait\r\nDate: Tue, 24 Nov 2026 10:00:00 GMT\r\nRetry-After: " + after + b"\r\n\r\n"
    with (
        answering([head], sleep=slept.append) as (send, calls),
        pytest.raises(IsDown, match="it answered HTTP 429"),
    ):
        send("hook", MESSAGE)
    assert (slept, len(calls)) == (waits, len(waits) + 1)


def test_a_key_that_is_not_utf8_signs_with_its_bytes() -> None:
    # Python reads a variable with the bytes "k\xff" as this text.
    digest = hmac.new(b"k\xff", b"7.body", hashlib.sha256).hexdigest()
    assert signature("k\udcff", 7, b"body") == f"t=7,v1={digest}"
