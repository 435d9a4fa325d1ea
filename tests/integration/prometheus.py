# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A server that answers instant and range queries as Prometheus does, with metrics that a test defines."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from tests.http_server import QuietHandler, http_server

# A series: its labels, and its value at a time (epoch seconds), None where it has none.
Metric = list[tuple[dict[str, str], Callable[[float], float | None]]]
PARSE_ERROR = 'invalid parameter "query": 1:5: parse error: unexpected end of input'


@dataclass
class Prometheus:
    """``metrics`` by query; any other query is a parse error. ``delay``: seconds before an answer. ``instead``: a
    status and a body that answer every request. ``seen``: path, form and headers of each request."""

    url: str = ""
    metrics: dict[str, Metric] = field(default_factory=dict)
    delay: float = 0.0
    instead: tuple[int, bytes] | None = None
    seen: list[tuple[str, dict[str, str], dict[str, str]]] = field(default_factory=list)

    def answer(self, path: str, form: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        metric = self.metrics.get(form["query"])
        if metric is None:
            return 400, {"status": "error", "errorType": "bad_data", "error": PARSE_ERROR}
        if path.endswith("/query"):
            at = float(form["time"])
            rows = [(labels, value_at(at)) for labels, value_at in metric]
            result = [{"metric": labels, "value": [at, f"{value}"]} for labels, value in rows if value is not None]
            return 200, {"status": "success", "data": {"resultType": "vector", "result": result}}
        at, end, step = (float(form[name]) for name in ("start", "end", "step"))
        times = [at + n * step for n in range(int((end - at) / step + 1e-6) + 1)]
        found = []
        for labels, value_at in metric:
            values = [[moment, f"{value_at(moment)}"] for moment in times if value_at(moment) is not None]
            found += [{"metric": labels, "values": values}] if values else []
        return 200, {"status": "success", "data": {"resultType": "matrix", "result": found}}


@contextmanager
def prometheus() -> Iterator[Prometheus]:
    """A server on a free port until the block ends."""
    held = Prometheus()

    class Handler(QuietHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            form = {name: values[0] for name, values in parse_qs(text).items()}
            held.seen.append((self.path, form, dict(self.headers.items())))
            time.sleep(held.delay)
            if held.instead is None:
                status, answer = held.answer(self.path, form)
                body = json.dumps(answer).encode()
            else:
                status, body = held.instead
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with http_server(Handler) as url:
        held.url = f"{url}/prom"
        yield held
