# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The layer between client and service: the journal, the key, the virtual Date header, and the injected faults."""

from __future__ import annotations

import asyncio
import json
import math
import re
import socket
import struct
import time
from typing import Any
from urllib.parse import parse_qsl

from tests.simulator.clock import http_date, iso
from tests.simulator.faults import FaultPlan
from tests.simulator.world import World

HTML = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1><hr>proxy</body></html>"
DETAILS = {429: "Too many requests", 500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable"}
Headers = list[tuple[bytes, bytes]]


class Answer:
    """A complete response; `headers` does not contain Content-Length."""

    def __init__(self, status: int, headers: Headers, body: bytes) -> None:
        self.status = status
        self.headers = [pair for pair in headers if pair[0].lower() != b"content-length"]
        self.body = body

    @classmethod
    def of(cls, status: int, detail: str, extra: Headers | None = None) -> Answer:
        body = json.dumps({"detail": detail} if status >= 400 else {"status": detail, "detail": {}}).encode()
        return cls(status, [(b"content-type", b"application/json"), *(extra or [])], body)

    @classmethod
    def html(cls, status: int) -> Answer:
        return cls(status, [(b"content-type", b"text/html")], HTML)


class Wire:
    """The outermost ASGI application, because resetting a connection needs uvicorn's own transport."""

    def __init__(self, app: Any, world: World, operations: list[tuple[str, re.Pattern[str], str]]) -> None:
        self.app = app
        self.world = world
        self.operations = operations

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body = await _read(receive)
        if not scope["path"].startswith("/v1/"):
            await _write(send, await self._execute(scope, body), self._stamp())
            return
        try:
            await self._serve(scope, body, receive, send)
        except asyncio.CancelledError:
            # The server stopped while a fault was delaying the response, which is not an error of the simulator.
            return

    async def _serve(self, scope: dict[str, Any], body: bytes, receive: Any, send: Any) -> None:
        world = self.world
        row, plan = self._arrive(scope, body)
        if plan and plan.latency_s:
            await asyncio.sleep(plan.latency_s)
        if plan and plan.reset_before:
            await _cut(receive, send)
            return
        refusal = self._refusal(row, plan)
        if refusal is not None:
            row["status"] = refusal.status
            await _write(send, refusal, self._stamp(row["seq"]))
            return
        world.catch_up()
        answer = await self._execute(scope, body)
        row["executed"] = 200 <= answer.status < 300
        if plan and plan.latency_after_s:
            row["status"] = answer.status
            await asyncio.sleep(plan.latency_after_s)
        if plan and plan.reset_after:
            row["status"] = None
            await _cut(receive, send)
            return
        if plan and plan.commit_then_status:
            status = plan.commit_then_status
            lost = Answer.html(status) if plan.html_body else Answer.of(status, DETAILS.get(status, "Gateway error"))
            answer = lost
        elif plan and plan.html_body:
            answer = Answer.html(answer.status)
        elif plan and plan.empty_204:
            answer = Answer(204, [], b"")
        row["status"] = answer.status
        stamp = self._stamp(row["seq"])
        if plan and plan.truncated_body:
            await _truncate(receive, send, answer, stamp)
        else:
            await _write(send, answer, stamp, slow=plan.slow_read if plan else 0.0)

    def _arrive(self, scope: dict[str, Any], body: bytes) -> tuple[dict[str, Any], FaultPlan | None]:
        """Add the request to the journal, and find its role and its fault plan."""
        world = self.world
        now = world.catch_up()
        key = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"x-api-key"), None)
        role = world.keys.role_of(key, now)
        scope["simulator_role"] = role
        method, path = scope["method"], scope["path"]
        operation, parameters = self._operation(method, path)
        instance = world.engine.fleet.by_id.get(parameters.get("instance_id", ""))
        names = (instance.id, instance.hostname, instance.short) if instance else ()
        row = world.journal.open(
            at=now,
            time=iso(now),
            wall=time.time(),
            method=method,
            path=path,
            query=dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)),
            operation_id=operation,
            instance=instance.hostname if instance else None,
            body=_parsed(body),
            role=role,
        )
        plan = world.faults.pick(method, path, operation, names)
        row["fault"] = plan.name if plan else None
        return row, plan

    def _operation(self, method: str, path: str) -> tuple[str | None, dict[str, str]]:
        for known, pattern, operation in self.operations:
            found = pattern.match(path) if known == method else None
            if found:
                return operation, found.groupdict()
        return None, {}

    def _refusal(self, row: dict[str, Any], plan: FaultPlan | None) -> Answer | None:
        """The response to a request that does not reach the service, or None."""
        knobs = self.world.knobs
        if knobs.refuse_writes and row["method"] not in ("GET", "HEAD"):
            row["fault"] = "refuse_writes"
            return Answer.of(500, "refuse_writes: this request is a write, and writes are not allowed")
        if knobs.rate_limit is not None:
            limit = knobs.rate_limit
            wait = self.world.bucket.wait(limit["rps"], limit["burst"], time.monotonic())
            if wait:
                row["fault"] = "rate_limit"
                return Answer.of(429, DETAILS[429], [self._retry_after(math.ceil(wait), limit["form"])])
        if plan is None or plan.status is None:
            return None
        extra = [] if plan.retry_after is None else [self._retry_after(plan.retry_after, plan.retry_after_form)]
        if plan.html_body:
            answer = Answer.html(plan.status)
            answer.headers += extra
            return answer
        return Answer.of(plan.status, plan.detail or DETAILS.get(plan.status, "Injected fault"), extra)

    def _retry_after(self, seconds: float, form: str) -> tuple[bytes, bytes]:
        moment = self.world.engine.now + self.world.knobs.clock_skew_s + seconds
        text = http_date(moment) if form == "date" else f"{seconds:g}"
        return (b"retry-after", text.encode())

    def _stamp(self, seq: int | None = None) -> Headers:
        moment = self.world.clock.now() + self.world.knobs.clock_skew_s
        headers = [(b"date", http_date(moment).encode())]
        if seq is not None:
            headers.append((b"x-request-id", f"sim-{seq}".encode()))
        return headers

    async def _execute(self, scope: dict[str, Any], body: bytes) -> Answer:
        started: dict[str, Any] = {}
        parts: list[bytes] = []

        async def collect(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                started.update(message)
            elif message["type"] == "http.response.body":
                parts.append(message.get("body", b""))

        async def replay() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, replay, collect)
        return Answer(started["status"], list(started.get("headers", [])), b"".join(parts))


async def _read(receive: Any) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


def _parsed(body: bytes) -> Any:
    if not body:
        return None
    try:
        return json.loads(body)
    except ValueError:
        return body[:2000].decode("utf-8", "replace")


async def _write(send: Any, answer: Answer, stamp: Headers, slow: float = 0.0) -> None:
    length = [] if answer.status == 204 else [(b"content-length", str(len(answer.body)).encode())]
    headers = [*answer.headers, *length, *stamp]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if slow and answer.body:
        step = max(1, len(answer.body) // 20)
        pieces = [answer.body[at : at + step] for at in range(0, len(answer.body), step)]
        for piece in pieces:
            await asyncio.sleep(slow / len(pieces))
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    else:
        await send({"type": "http.response.body", "body": answer.body})


async def _truncate(receive: Any, send: Any, answer: Answer, stamp: Headers) -> None:
    """Announce the complete body, send half of it, and close the connection."""
    headers = [*answer.headers, (b"content-length", str(len(answer.body)).encode()), *stamp]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body[: len(answer.body) // 2], "more_body": True})
    send.__self__.transport.close()
    await _gone(receive)


async def _cut(receive: Any, send: Any) -> None:
    """Reset the connection. uvicorn's `send` is a method of the object that has the transport."""
    transport = send.__self__.transport
    plain = transport.get_extra_info("socket")
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    await _gone(receive)


async def _gone(receive: Any) -> None:
    # If this returned without a response before uvicorn noticed the disconnect, uvicorn would send a 500.
    while (await receive())["type"] != "http.disconnect":
        pass
