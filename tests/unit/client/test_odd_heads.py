# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Answers with unusual headers: a sent call is never reported as not sent, and a complete answer is accepted."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from ansible_collections.fleetops.agents.plugins.module_utils._client.client import ApiError
from ansible_collections.fleetops.agents.plugins.module_utils._client.endpoints import http_date
from tests.unit.client.client_for import ONE, client_for, failure

BODY = json.dumps({"instance_id": ONE, "status": "queued", "message": "ok", "task_id": "t"}).encode()
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
WHOLE = b"HTTP/1.1 200 OK\r\n" + LENGTH + b"\r\n" + BODY

Serve = Callable[[bytes], tuple[str, list[bytes]]]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """``serve(answer)`` answers each request with these bytes. Returns the address and the request lines."""
    listeners: list[socket.socket] = []

    def start(answer: bytes) -> tuple[str, list[bytes]]:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        seen: list[bytes] = []

        def run() -> None:
            while True:
                try:
                    connection = listener.accept()[0]
                except OSError:
                    return
                with connection:
                    seen.append(connection.recv(65536).partition(b"\r\n")[0])
                    connection.sendall(answer)

        threading.Thread(target=run, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}", seen

    yield start
    for listener in listeners:
        listener.close()


@pytest.mark.parametrize(
    "status", [b"100 Continue", b"102 Processing", b"103 Early Hints\r\nLink: </style>", b"199 Odd"]
)
def test_informational_answers_before_the_final_one_are_skipped(serve: Serve, status: bytes) -> None:
    url, seen = serve(b"HTTP/1.1 " + status + b"\r\n\r\n" + WHOLE)
    assert client_for(url).redeploy_runtime(ONE)["task_id"] == "t"
    assert len(seen) == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n" + LENGTH + b"\r\n" + BODY,
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n" + LENGTH + b"\r\n" + BODY,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{" + BODY,
        b"\0\0\x12\x04\0\0\0\0\0",
    ],
    ids=["two lengths", "another protocol", "no answer after the hints", "no gzip", "half a chunk", "HTTP/2"],
)
def test_a_write_with_an_unreadable_answer_is_ambiguous_and_not_sent_again(serve: Serve, answer: bytes) -> None:
    url, seen = serve(answer)
    error = failure(client_for(url, retries=3), "redeploy_runtime", ONE)
    assert error.ambiguous and "This call was not sent" not in str(error), str(error)
    assert len(seen) == 1


@pytest.mark.parametrize("address", [b"/\xff", b"http://[bad", b"foo://a b", b"http://a:99999999/", b""])
def test_a_redirect_to_an_unreadable_address_is_a_redirect_too(serve: Serve, address: bytes) -> None:
    url, seen = serve(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + address + b"\r\n\r\n")
    error = failure(client_for(url, retries=3), "redeploy_runtime", ONE)
    assert (error.kind, error.ambiguous, len(seen)) == ("redirected", False, 1), str(error)


def test_the_address_of_a_redirect_is_shortened_in_the_message(serve: Serve) -> None:
    url, _seen = serve(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: /" + b"a" * 60000 + b"\r\n\r\n")
    assert len(str(failure(client_for(url), "redeploy_runtime", ONE))) < 600


def test_a_pause_that_is_too_large_for_a_number_is_the_longest_one(serve: Serve) -> None:
    url, seen = serve(b"HTTP/1.1 429 Too Many\r\nContent-Length: 0\r\nRetry-After: 99999999999999999999\r\n\r\n")
    pauses: list[float] = []
    with pytest.raises(ApiError):
        client_for(url, pauses=pauses, retries=1).redeploy_runtime(ONE)
    assert pauses == [120.0] and len(seen) == 2


@pytest.mark.parametrize(
    ("head", "begins"),
    [
        (b"500 X\r\nX-Request-Id: ", "failed with HTTP 500 (request id xxx"),
        (b"200 OK\r\nContent-Type: ", "the answer is not JSON but xxx"),
        (b"301 OK\r\nLocation: ", "the server redirects to xxx"),
    ],
)
def test_a_long_header_line_does_not_make_the_message_long(serve: Serve, head: bytes, begins: str) -> None:
    url, _seen = serve(b"HTTP/1.1 " + head + b"x" * 60_000 + b"\r\nContent-Length: 2\r\n\r\nno")
    error = failure(client_for(url), "redeploy_runtime", ONE)
    assert begins in str(error) and len(str(error)) < 700
    assert len(str(error.as_dict())) < 1000


@pytest.mark.parametrize(
    "date", [b"Fri, 31 Dec 9999 23:59:59 GMT", b"Fri, 31 Dec 9999 23:59:59 -2359", b"Mon, 01 Jan 1900 00:00:00 GMT"]
)
def test_a_date_that_is_no_time_of_a_server_counts_as_none(serve: Serve, date: bytes) -> None:
    url, _seen = serve(b"HTTP/1.1 200 OK\r\nDate: " + date + WHOLE.removeprefix(b"HTTP/1.1 200 OK"))
    client = client_for(url)
    client.redeploy_runtime(ONE)
    assert (client.server_time, client.seconds_since(0.0)) == (None, None)


@pytest.mark.parametrize("date", ["Sun, 29 Nov 2026 17:00:00 -0000", "Sun Nov 29 17:00:00 2026"])
def test_a_date_without_a_zone_is_utc_and_not_the_time_of_this_machine(date: str) -> None:
    with pytest.MonkeyPatch.context() as here:
        here.setenv("TZ", "America/New_York")
        time.tzset()
        found = http_date(date)
    time.tzset()
    assert found == http_date("Sun, 29 Nov 2026 17:00:00 GMT")
