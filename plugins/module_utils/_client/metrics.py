# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Queries of Prometheus, or of a server with its HTTP API: /api/v1/query and /api/v1/query_range. Reads only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._rules.metric_checks import Answer, MetricCheck, series_of
from .body import parsed, read_body, too_large
from .other_server import NoAnswerError, answer_to
from .redact import Redactor

# The maximum size of an answer in bytes.
_MAX_BYTES = 8 * 1024 * 1024
# The maximum length of an error message in characters.
_MAX_WORDS = 300


def ask(url: str, check: MetricCheck, now: float, *, token: str | None, **connection: Any) -> Answer:
    """The answer of the server at ``url`` to the query of a check.

    ``url``: the base address, without ``/api/v1``. ``now``: the time of the query, in epoch seconds. ``token``: sent as
    a bearer token, or None. ``connection``: see answer_to.
    """
    headers = {"Accept": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    path, fields = _request(check, now)
    call: dict[str, Any] = {"secrets": [token] if token else [], "headers": headers, "data": fields}
    try:
        # A query may be too long for an address, so it is sent with POST.
        with answer_to("POST", url.rstrip("/") + path, **call, **connection) as (response, redactor):
            content = read_body(response, _MAX_BYTES)
            if content is None:
                return Answer(problem=too_large(_MAX_BYTES))
            return _reading(int(response.status_code), content, redactor)
    except NoAnswerError as failure:
        return Answer(problem=str(failure))


def _request(check: MetricCheck, now: float) -> tuple[str, dict[str, str]]:
    if not check.seconds:
        return "/api/v1/query", {"query": check.query, "time": f"{now:.3f}"}
    times = {"start": f"{now - check.seconds:.3f}", "end": f"{now:.3f}", "step": f"{check.step:g}"}
    return "/api/v1/query_range", {"query": check.query, **times}


def _reading(status: int, content: bytes, redactor: Redactor) -> Answer:
    """The result of a complete answer. Status 400 and 422 mean that the query is invalid (HTTP API of Prometheus)."""
    body: Any = parsed(content)[0]
    said = body.get("error") if isinstance(body, Mapping) else None
    # Masked before it is shortened: otherwise a part of a secret could remain.
    words = redactor.text(str(said))[:_MAX_WORDS] if said else f"the server answers with status {status}"
    if status in (400, 422) and said:
        return Answer(problem=words, refused=True)
    if status in (401, 403):
        return Answer(problem=f"the server answers with status {status}, so set FLEETOPS_METRIC_TOKEN to a valid token")
    if status != 200:
        return Answer(problem=words if not said else f"{words} (status {status})")
    series = series_of(body)
    if series is None:
        return Answer(problem="the answer is not from the HTTP API of Prometheus; check metric_url")
    if (lacks := _lacks(body)) is not None:
        return Answer(problem=f"the answer lacks data{redactor.text(lacks)[:_MAX_WORDS]}")
    return Answer(series)


def _lacks(body: Mapping[str, Any]) -> str | None:
    """The reason if a server that asks others, such as Thanos or VictoriaMetrics, did not reach all of them, or None.

    The warnings of PromQL are about the query.
    """
    listed = body.get("warnings")
    warnings = [str(one) for one in listed if not str(one).startswith("PromQL")] if isinstance(listed, list) else []
    if not warnings and not body.get("isPartial"):
        return None
    return f" ({'; '.join(warnings)})" if warnings else ""
