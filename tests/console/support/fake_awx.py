# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A read-only server with the job endpoints of AWX, based on recorded answers of AWX 24.6.1 (data/awx).

Tests set its content and its errors as attributes. The answers about workflows and approvals were not recorded: they
are written from the documentation of AWX.
"""

from __future__ import annotations

import copy
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

DATA = Path(__file__).parents[1] / "data" / "awx"
TOKEN = "read-only-token-of-the-fake"
_ONLY_IN_DETAIL = (
    *("playbook_counts", "event_processing_finished", "result_traceback", "job_args", "host_status_counts"),
    *("custom_virtualenv", "job_cwd", "job_env"),
)
_PAGING = ("page", "page_size", "order_by", "format")
_RELATED = {"project__name": "project", "job_template__name": "job_template"}


def recorded(name: str) -> Any:
    """A recorded answer of AWX."""
    path = DATA / f"{name}.json"
    # The events are in the parent folder, because other tests use them too.
    return json.loads((path if path.exists() else DATA.parent / path.name).read_text())


class FakeAwx:
    """``refusals``: errors to return, as (part of the path, status, headers, body); the first match is used once.
    ``polls``: how many times the detail of a job still says that its events are being processed.
    ``requests``: the paths and queries of all requests. ``approvals``: details by id, each with its workflow job.
    """

    def __init__(self) -> None:
        self.url = ""
        self.jobs: dict[int, dict[str, Any]] = {}
        self.events: dict[int, list[dict[str, Any]]] = {}
        self.refusals: list[tuple[str, int, dict[str, str], Any]] = []
        self.polls: dict[int, int] = {}
        self.requests: list[str] = []
        self.approvals: dict[int, dict[str, Any]] = {}
        self.largest_page = 200
        self.app = FastAPI(openapi_url=None)
        self.app.middleware("http")(self._guard)
        for path, answer in (
            ("/api/", self._root),
            ("/api/v2/", self._version),
            ("/api/v2/jobs/", self._list_jobs),
            ("/api/v2/jobs/{job_id}/", self._detail),
            ("/api/v2/jobs/{job_id}/job_events/", self._list_events),
            ("/api/v2/jobs/{job_id}/job_host_summaries/", self._list_summaries),
            ("/api/v2/workflow_jobs/{workflow}/workflow_nodes/", self._list_nodes),
            ("/api/v2/workflow_approvals/{number}/", self._approval),
        ):
            self.app.add_api_route(path, answer, methods=["GET"])

    def know_recorded(self) -> None:
        """Start with the three recorded jobs. Events were only recorded for job 2."""
        self.jobs = {n: recorded(f"job_{name}") for n, name in ((1, "successful"), (2, "failed"), (3, "canceled"))}
        self.events = {2: recorded("job_failed_events_all")["results"]}
        self.refusals, self.polls, self.requests, self.largest_page = [], {}, [], 200
        self.approvals = {}

    def add(self, like: int, job_id: int, *, later_s: int, **changes: Any) -> dict[str, Any]:
        """Add a copy of job ``like``, ``later_s`` seconds later, and return it."""
        text = json.dumps(self.jobs[like])
        job = json.loads(text) | {"id": job_id, "url": f"/api/v2/jobs/{job_id}/"}
        for name in ("created", "started", "finished"):
            job[name] = _later(job[name], later_s)
        self.jobs[job_id] = job | changes
        self.events[job_id] = copy.deepcopy(self.events.get(like, []))
        for event in self.events[job_id]:
            event["job"], event["created"] = job_id, _later(event["created"], later_s)
        return self.jobs[job_id]

    async def _guard(self, request: Request, answer: Callable[[Request], Any]) -> Response:
        self.requests.append(str(request.url.path) + (f"?{request.url.query}" if request.url.query else ""))
        for at, (part, status, headers, body) in enumerate(self.refusals):
            if part in self.requests[-1]:
                del self.refusals[at]
                if isinstance(body, str):
                    return Response(body, status, headers, media_type="text/html")
                return JSONResponse(body, status, headers)
        if request.url.path != "/api/" and request.headers.get("authorization") != f"Bearer {TOKEN}":
            return JSONResponse(recorded("http_401"), 401)
        return await answer(request)

    def _root(self) -> Any:
        return {"description": "AWX REST API", "current_version": "/api/v2/", "available_versions": {"v2": "/api/v2/"}}

    def _version(self) -> Any:
        return {"jobs": "/api/v2/jobs/"}

    def _list_jobs(self, request: Request) -> Any:
        rows = [{k: v for k, v in job.items() if k not in _ONLY_IN_DETAIL} for job in self.jobs.values()]
        return self._page(request, rows, "Job")

    def _detail(self, job_id: int) -> Any:
        job = self.jobs.get(job_id)
        if job is None:
            return JSONResponse(recorded("http_404"), 404)
        waits = self.polls.get(job_id, 0)
        self.polls[job_id] = waits - 1
        return job if waits <= 0 else {**job, "event_processing_finished": False}

    def _list_events(self, job_id: int, request: Request) -> Any:
        if job_id not in self.jobs:
            return JSONResponse(recorded("http_404"), 404)
        return self._page(request, self.events.get(job_id, []), "JobEvent")

    def _list_summaries(self, job_id: int, request: Request) -> Any:
        found = recorded("job_failed_host_summaries")["results"]
        return self._page(request, found if job_id == 2 else [], "JobHostSummary")

    def _list_nodes(self, workflow: int, request: Request) -> Any:
        found: list[dict[str, Any]] = []
        for number, approval in self.approvals.items():
            if approval["summary_fields"]["workflow_job"]["id"] == workflow:
                job = {"id": number, "type": "workflow_approval", "status": approval["status"]}
                found.append({"id": 100 + number, "identifier": "approve", "summary_fields": {"job": job}})
        for number, job in self.jobs.items():
            if job["summary_fields"].get("source_workflow_job", {}).get("id") == workflow:
                of_job = {"id": number, "type": "job", "status": job["status"]}
                found.append({"id": 200 + number, "identifier": "run", "summary_fields": {"job": of_job}})
        # The last node has not run.
        return self._page(
            request, [*found, {"id": 300, "identifier": "report", "summary_fields": {}}], "WorkflowJobNode"
        )

    def _approval(self, number: int) -> Any:
        return self.approvals[number] if number in self.approvals else JSONResponse(recorded("http_404"), 404)

    def _page(self, request: Request, rows: list[dict[str, Any]], model: str) -> Any:
        query = dict(request.query_params)
        for name, value in query.items():
            if name in _PAGING:
                continue
            field, _dummy, how = name.partition("__")
            if rows and name not in _RELATED and name != "labels__name" and field not in rows[0]:
                return JSONResponse({"detail": f"{model} has no field named '{field}'"}, 400)
            rows = [row for row in rows if _fits(row, name, field, how, value)]
        order = query.get("order_by", "id")
        rows = sorted(rows, key=lambda row: row[order.lstrip("-")], reverse=order.startswith("-"))
        size = min(int(query.get("page_size", 25)), self.largest_page)
        page = int(query.get("page", 1))

        def link(number: int) -> str:
            return f"{request.url.path}?{urlencode({**query, 'page': number, 'page_size': size})}"

        return {
            "count": len(rows),
            "next": link(page + 1) if page * size < len(rows) else None,
            "previous": link(page - 1) if page > 1 else None,
            "results": rows[(page - 1) * size : page * size],
        }


def _fits(row: dict[str, Any], name: str, field: str, how: str, value: str) -> bool:
    if name in _RELATED:
        return row["summary_fields"].get(_RELATED[name], {}).get("name") == value
    if name == "labels__name":
        return value in [label["name"] for label in row["summary_fields"]["labels"]["results"]]
    stored = row[field]
    if how == "in":
        return str(stored) in value.split(",")
    if how == "startswith":
        return str(stored).startswith(value)
    if how in ("gt", "gte"):
        least = int(value) if isinstance(stored, int) else value.replace("+00:00", "Z")
        return stored > least or (how == "gte" and stored == least)
    return str(stored).lower() == value.lower()


def _later(stamp: str, seconds: int) -> str:
    moved = datetime.fromisoformat(stamp) + timedelta(seconds=seconds)
    return moved.isoformat(timespec="microseconds").replace("+00:00", "Z")


@contextmanager
def running_awx(*, certificate: tuple[Path, Path] | None = None) -> Iterator[FakeAwx]:
    """Serve a FakeAwx on a free port of 127.0.0.1 until the block ends. ``certificate``: its file and key, for TLS."""
    fake = FakeAwx()
    fake.know_recorded()
    more = {"ssl_certfile": certificate[0], "ssl_keyfile": certificate[1]} if certificate else {}
    server = uvicorn.Server(uvicorn.Config(fake.app, host="127.0.0.1", port=0, log_level="error", **more))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 120
    while not server.started:
        assert thread.is_alive(), "the fake AWX did not start"
        assert time.monotonic() < deadline, "the fake AWX did not start in time"
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    fake.url = f"{'https' if certificate else 'http'}://127.0.0.1:{port}"
    try:
        yield fake
    finally:
        server.should_exit = True
        thread.join(60)
