# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The error of a failed call, as one readable sentence and as data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._rules.printable import printable
from .._rules.record_words import LONGEST_WORDS, shortened

# The path of E9, which works for every tenant.
KNOWN_PATH = "/v1/instances/fleet/updates/policy"
# Kinds of errors by which the server refuses the key or its role.
KEY_REFUSED = frozenset({"auth", "forbidden"})
# What the user should do next, by the kind of error.
_NEXT_STEP = {
    "auth": "Check api_key (FLEETOPS_API_KEY): it is missing, wrong, expired or of another tenant.",
    "forbidden": "The key's role does not allow this, or the maintenance window is closed.",
    "not_found": "The id is unknown to this tenant, or the object is gone.",
    "wrong_path": f"The path in api_url (FLEETOPS_API_URL) may be wrong: the server does not know {KNOWN_PATH} either.",
    "unreachable": "This call was not sent. Check api_url (FLEETOPS_API_URL), the name, the port and the route to it.",
    "tls": "This call was not sent. Check the server's certificate, ca_path or validate_certs.",
    "redirected": "The redirect was not followed, so no other server got the key. Set api_url to the final address.",
    "rate_limited": "The call was not executed. Lower the concurrency, or raise retries.",
}
_AMBIGUOUS = "Whether the server carried it out is unknown."


class ApiError(Exception):
    """One failed call of the instance ops API.

    ``kind``: auth, forbidden, not_found, wrong_path, conflict, invalid, rate_limited, server, unavailable, timeout,
    connection_lost, unreachable, tls, redirected, unreadable, unexpected, read_only.
    ``status``: the HTTP status, None if there was no answer. ``method`` and ``path``: of the call.
    ``detail``: the server's message, without characters that could control a terminal. ``request_id``: the server's id
    of the call, if it sent one.
    ``ambiguous``: the call may have been carried out, although there was no usable answer (behaviour 2.5).
    ``attempts``: how often the call was made. ``refused``: the same call would fail again. ``retry_after``: seconds
    that the server asked to wait, or None. ``has_json``: the answer had a JSON body.
    """

    def __init__(
        self,
        kind: str,
        method: str,
        path: str,
        *,
        status: int | None = None,
        detail: str | None = None,
        request_id: str | None = None,
        ambiguous: bool = False,
    ) -> None:
        super().__init__(kind, method, path)
        self.kind = kind
        self.method = method
        self.path = path
        self.status = status
        self.detail = None if detail is None else printable(detail)
        self.request_id = None if request_id is None else printable(request_id)
        self.ambiguous = ambiguous
        self.attempts = 1
        self.refused = False
        self.retry_after: float | None = None
        self.has_json = False

    def __str__(self) -> str:
        """What failed, what the server said, and what to do next, in one line."""
        what = f"{self.method} {self.path} failed"
        if self.status is not None:
            what += f" with HTTP {self.status}"
        said = f": {self.detail}" if self.detail else ""
        tail = f" (request id {self.request_id})" if self.request_id else ""
        if self.attempts > 1:
            tail += f" after {self.attempts} attempts"
        step = _AMBIGUOUS if self.ambiguous else _NEXT_STEP.get(self.kind, "")
        if self.kind == "not_found" and self.path == KNOWN_PATH:
            step = "The path in api_url (FLEETOPS_API_URL) may be wrong: this call takes no id that could be unknown."
        if self.kind == "unavailable" and self.status == 404:
            step = f"The API may be down: the server no longer knows {KNOWN_PATH} either."
        text = f"{what}{tail}{said}".rstrip()
        if step:
            text += ("" if text.endswith((".", "!", "?")) else ".") + " " + step
        return printable(" ".join(text.split()))

    def as_dict(self) -> dict[str, Any]:
        """The return value ``error`` of a module."""
        return {
            "kind": self.kind,
            "status": self.status,
            "method": self.method,
            "path": self.path,
            "detail": self.detail,
            "request_id": self.request_id,
            "ambiguous": self.ambiguous,
        }


def kind_of_status(status: int) -> str:
    """The kind of error that an HTTP status stands for (behaviour 2.3)."""
    exact = {
        401: "auth",
        403: "forbidden",
        404: "not_found",
        408: "timeout",
        400: "invalid",
        422: "invalid",
        409: "conflict",
        423: "conflict",
        425: "conflict",
        429: "rate_limited",
        503: "unavailable",
    }
    if status in exact:
        return exact[status]
    # After 304, the answer would be one that the client keeps, but it keeps none.
    if 300 <= status < 400 and status != 304:
        return "redirected"
    if status >= 500:
        return "server"
    return "unexpected"


def detail_text(body: Any, limit: int = LONGEST_WORDS) -> str | None:
    """The server's explanation in one line of at most ``limit`` characters; None if there is none (behaviour 2.3).

    ``body``: a parsed body such as ``{"detail": [{"loc", "msg", "type"}]}`` or ``{"detail": "text"}``, another mapping,
    a list, or the raw text of a body that is not JSON.
    """
    if body is None:
        return None
    detail = body
    if isinstance(body, Mapping):
        detail = next((body[k] for k in ("detail", "message", "error", "title") if body.get(k)), dict(body) or None)
    if isinstance(detail, list):
        text = "; ".join(_validation_line(item) for item in detail)
    elif isinstance(detail, Mapping):
        text = _validation_line(detail)
    else:
        text = "" if detail is None else str(detail)
    return shortened(" ".join(text.split()), limit) or None


def _validation_line(item: Any) -> str:
    if not isinstance(item, Mapping):
        return str(item)
    loc = item.get("loc")
    where = ".".join(str(part) for part in loc) if isinstance(loc, (list, tuple)) else str(loc or "")
    message = str(item.get("msg") or item.get("message") or "")
    if not message:
        return ", ".join(f"{key}: {value}" for key, value in item.items())
    return f"{where}: {message}" if where else message


def words_of_html(text: str) -> str:
    """The text of an HTML document without tags, in one line."""
    out, inside = [], False
    for letter in text:
        if letter in "<>":
            inside = letter == "<"
            out.append(" ")
        elif not inside:
            out.append(letter)
    return " ".join("".join(out).split())
