# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The instance ops API as a Python class: one method for each endpoint, with the name of its operationId."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

# First, because it refuses a Python that is too old to import the others.
from .transport import Reply, Settings, SettingsError, Transport

# isort: split
from .._rules.answers import Record, plain_text, rollout_is_terminal
from .._rules.audit import AUDIT_TIMES
from .._rules.ids import are_different_uuids
from .._rules.refusals import refusal_in
from .body import rows_of, says_nothing, shape_of
from .endpoints import ENDPOINTS, KEYS, Endpoint, Repeat
from .errors import KNOWN_PATH, ApiError, detail_text
from .paging import OLDEST_FIRST, newest_page, order_of, read_list

__all__ = ["ApiError", "FleetClient", "Settings", "SettingsError", "Transport", "connect"]

# The largest limits that every reading of the reference allows (behaviour 2.2).
ROLLOUTS_PAGE = 100
AUDIT_PAGE = 500
MEMORY_CAP = 200
ACTIONS_CAP = 100
# The keys with the times of rows, from which the order of a list is determined.
ROLLOUT_TIMES = ACTION_TIMES = ("created_at",)

# Kinds of errors that E9 ends with if the API is not at this address: not found, an HTML page, a redirect.
_NO_API_THERE = frozenset({"not_found", "unreadable", "redirected"})

# How much is shown of an answer that lacks what was asked for.
_SHOWN_WORDS = 200

Until = Callable[[Record], bool]


def connect(
    api_url: str,
    api_key: str,
    *,
    validate_certs: bool = True,
    ca_path: str | None = None,
    request_timeout: float = 30.0,
    retries: int = 3,
    headers: Mapping[str, str] | None = None,
    read_only: bool = False,
    on_repeat: Callable[[str], None] | None = None,
    before_send: Callable[[], None] | None = None,
) -> FleetClient:
    """A client for one server. Nothing is sent yet. ``request_timeout`` is in seconds; for the rest, see Settings.

    Raises SettingsError for settings that cannot be used.
    """
    settings = Settings(
        api_url=api_url,
        api_key=api_key,
        validate_certs=validate_certs,
        ca_path=ca_path,
        request_timeout=float(request_timeout),
        retries=int(retries),
        headers=dict(headers or {}),
    )
    return FleetClient(Transport(settings, read_only=read_only, on_repeat=on_repeat, before_send=before_send))


class FleetClient:
    """One method for each endpoint. Ids are passed as text; answers are plain data of the documented shape.

    There are two ways to read a list (E3, E20, E23). A ``list_`` method reads one page. Without an offset it returns
    the newest rows, whether the server lists the newest or the oldest row first; with an offset it returns that page as
    it is. The server may return fewer rows than ``limit``, so a short page does not mean that the list ends. An
    ``all_`` method reads the list to its end.

    A success whose body has another shape, or is about another instance or rollout, raises ApiError (``unexpected``).
    The result is therefore always a mapping or a list of mappings. Any key in it may be missing, except that of the
    list in E1, E4, E11 and E17. Every method raises ApiError.
    """

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    def clone(self) -> FleetClient:
        """A client for another thread, with the same settings and its own session and trace."""
        return FleetClient(self.transport.clone())

    def close(self) -> None:
        self.transport.close()

    @property
    def trace(self) -> list[Record]:
        """One row for each attempt: method, path, attempt, ms, and status or error."""
        return self.transport.trace

    @property
    def server_time(self) -> float | None:
        """The Date header of the latest answer (epoch seconds, UTC); None if no answer had one."""
        return self.transport.server_time

    def seconds_since(self, at: float) -> float | None:
        """How many seconds, at least, have passed since ``at`` (epoch seconds by the server's clock).

        None if no answer had a Date. More exact than server_time, which has whole seconds and stands still between
        answers.
        """
        return self.transport.seconds_since(at)

    # E1 to E8: fleet rollouts

    def get_rollout_timeline(self, rollout_id: str) -> Record:
        """E1: the targets of one rollout with host names and times, under ``timeline``."""
        return self._record("get_rollout_timeline", "timeline", rollout_id=rollout_id)

    def start_fleet_rollout(self, *, override_window: bool = False) -> Record:
        """E2: push the runtime to all running instances. Returns ``enqueued``, ``skipped`` and ``total``, but no id."""
        return self._record("start_fleet_rollout", query={"override_window": override_window})

    def list_fleet_rollouts(self, *, limit: int = 20, offset: int | None = None) -> list[Record]:
        """E3: a page of the tenant's rollouts; ``limit`` 1 to 100."""
        return self._page("list_fleet_rollouts", limit, offset, ROLLOUTS_PAGE, ROLLOUT_TIMES)

    def all_fleet_rollouts(self, *, most: int | None = None, until: Until | None = None) -> list[Record]:
        """E3: all pages. For ``most`` and ``until``, see paging.read_list."""

        def fetch(limit: int, offset: int) -> list[Record]:
            return self.list_fleet_rollouts(limit=limit, offset=offset)

        return read_list(fetch, page=ROLLOUTS_PAGE, most=most, until=until, times=ROLLOUT_TIMES).rows

    def open_fleet_rollouts(self) -> list[Record]:
        """E3: the rollouts of ``recent_fleet_rollouts()`` that have not ended."""
        return [row for row in self.recent_fleet_rollouts() if not rollout_is_terminal(row)]

    def recent_fleet_rollouts(self) -> list[Record]:
        """E3: the rollouts from the newest row down to 100 consecutive ones that have ended.

        This takes one call if the newest 100 have all ended, and two if there are fewer than 100.
        """
        ended_in_a_row = 0

        def is_far_enough(row: Record) -> bool:
            nonlocal ended_in_a_row
            ended_in_a_row = ended_in_a_row + 1 if rollout_is_terminal(row) else 0
            return ended_in_a_row >= ROLLOUTS_PAGE

        return self.all_fleet_rollouts(until=is_far_enough)

    def get_rollout(self, rollout_id: str) -> Record:
        """E4: ``rollout`` and its ``targets``, which have no host names."""
        body = self._record("get_rollout", "targets", rollout_id=rollout_id)
        if not isinstance(body.get("rollout"), Mapping):
            raise self._without("rollout", body, "get_rollout", rollout_id=rollout_id)
        self._check_ids({"rollout_id": body["rollout"].get("id")}, "get_rollout", rollout_id=rollout_id)
        # The answer may lack the id that was requested.
        rollout = {**body["rollout"], "id": plain_text(body["rollout"].get("id")) or rollout_id}
        return {**body, "rollout": rollout, "targets": rows_of(body["targets"])}

    def cancel_rollout(self, rollout_id: str, *, force: bool = False) -> Any:
        """E5: revoke the queued targets; ``force`` also terminates those in progress. The result is shown by E4."""
        return self._call("cancel_rollout", query={"force": force}, rollout_id=rollout_id).body

    def pause_rollout(self, rollout_id: str) -> Any:
        """E6: revoke the queued targets until the rollout is resumed. The result is shown by E4."""
        return self._call("pause_rollout", rollout_id=rollout_id).body

    def resume_rollout(self, rollout_id: str) -> Any:
        """E7: queue the cancelled targets again. The result is shown by E4."""
        return self._call("resume_rollout", rollout_id=rollout_id).body

    def retry_rollout_target(self, rollout_id: str, target_id: str) -> Any:
        """E8: queue one failed or uncertain target again. The result is shown by E4."""
        return self._call("retry_rollout_target", rollout_id=rollout_id, target_id=target_id).body

    # E9, E10: the tenant's policy

    def get_fleet_update_policy(self) -> Record:
        """E9: the window's hours (UTC), ``max_parallel_rollouts``, and a default for each component."""
        return self._record("get_fleet_update_policy")

    def set_fleet_update_policy(self, changes: Mapping[str, Any]) -> Record:
        """E10: change the given keys. Returns the resulting policy."""
        return self._record("set_fleet_update_policy", body=dict(changes))

    # E11 to E16: actions and health of one instance

    def list_instance_actions(self, instance_id: str, *, limit: int = 20) -> Record:
        """E11: ``actions``, newest first, and ``total``, which may be larger, since there is no paging."""

        def read(most: int) -> Record:
            return self._record("list_instance_actions", "actions", query={"limit": most}, instance_id=instance_id)

        answer = read(limit)
        if order_of(rows_of(answer["actions"]), ACTION_TIMES) == OLDEST_FIRST:
            answer = read(ACTIONS_CAP) if limit < ACTIONS_CAP else answer
            answer["actions"].reverse()
        return answer

    def clear_circuit_breakers(self, instance_id: str) -> Record:
        """E12: close the circuit breakers of all LLM providers."""
        return self._record("clear_circuit_breakers", instance_id=instance_id)

    def power_cycle(self, instance_id: str) -> Record:
        """E13: restart the agent's process (about 2 s)."""
        return self._record("power_cycle", instance_id=instance_id)

    def reboot(self, instance_id: str) -> Record:
        """E14: reboot the whole VPS (about 60 s). Needs the role admin."""
        return self._record("reboot", instance_id=instance_id)

    def run_diagnostics(self, instance_id: str) -> Record:
        """E15: make a live check and store its result, which is returned as by E16."""
        return self._record("run_diagnostics", instance_id=instance_id)

    def get_deep_health(self, instance_id: str, *, force: bool = False) -> Record:
        """E16: the stored health record, or with ``force`` the record of a live check (slower)."""
        live = {"repeat": Repeat.READ_ONCE_MORE, "read_timeout": 60.0} if force else {}
        return self._record("get_deep_health", query={"force": force}, instance_id=instance_id, endpoint_change=live)

    # E17 to E19: memory

    def list_memories(
        self, instance_id: str, *, conversation_id: str | None = None, customer_id: str | None = None, limit: int = 100
    ) -> Record:
        """E17: ``memories``, at most 200 and without paging. Here ``status`` is a mapping."""
        query = {"conversation_id": conversation_id, "customer_id": customer_id, "limit": limit}
        return self._record("list_memories", "memories", query=query, instance_id=instance_id)

    def store_memory(self, instance_id: str, memory: Mapping[str, Any]) -> Record:
        """E18: store one fact or procedural memory."""
        return self._record("store_memory", body=dict(memory), instance_id=instance_id)

    def clear_memories(self, instance_id: str, selection: Mapping[str, Any]) -> Record:
        """E19: clear memories. Returns ``deleted``. An empty selection probably means all of them."""
        return self._record("clear_memories", body=dict(selection), instance_id=instance_id)

    # E20, E21: audit

    def list_audit_events(self, instance_id: str, *, limit: int = 100, offset: int | None = None) -> list[Record]:
        """E20: a page of audit events; ``limit`` 1 to 500."""
        return self._page("list_audit_events", limit, offset, AUDIT_PAGE, AUDIT_TIMES, instance_id=instance_id)

    def get_audit_summary(self, instance_id: str) -> Record:
        """E21: the counts of all audit events ever recorded, by outcome and under ``by_source``."""
        return self._record("get_audit_summary", instance_id=instance_id)

    # E22 to E26: runtime and updates of one instance

    def redeploy_runtime(self, instance_id: str) -> Record:
        """E22: push the runtime bundle to one running instance. Needs the role admin. Returns ``task_id``."""
        return self._record("redeploy_runtime", instance_id=instance_id)

    def list_instance_rollouts(self, instance_id: str, *, limit: int = 20, offset: int | None = None) -> list[Record]:
        """E23: a page of the instance's rollout targets; ``limit`` 1 to 100."""
        return self._page(
            "list_instance_rollouts", limit, offset, ROLLOUTS_PAGE, ROLLOUT_TIMES, instance_id=instance_id
        )

    def apply_all_updates(self, instance_id: str) -> Record:
        """E24: apply all updates, skills first, runtime last. Returns ``runtime_task_id`` and ``skills_applied``."""
        return self._record("apply_all_updates", instance_id=instance_id)

    def get_available_updates(self, instance_id: str) -> Record:
        """E25: the current and the available versions, and the instance's update policy."""
        return self._record("get_available_updates", instance_id=instance_id)

    def set_instance_update_policy(self, instance_id: str, changes: Mapping[str, Any]) -> Record:
        """E26: override the update policy of components. None removes an override (assumption, behaviour 2.6)."""
        return self._record("set_instance_update_policy", body=dict(changes), instance_id=instance_id)

    # Anything else

    def raw(self, method: str, path: str, *, query: Mapping[str, Any] | None = None, body: Any = None) -> Reply:
        """Any call below ``/v1/``, repeated by the rule of its endpoint; never if it writes to an unknown path."""
        return self._request(endpoint_of(method, path), path, query=query, body=body)

    def _call(
        self,
        name: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        endpoint_change: Mapping[str, Any] | None = None,
        **ids: str,
    ) -> Reply:
        endpoint = ENDPOINTS[name]
        if endpoint_change:
            endpoint = replace(endpoint, **endpoint_change)
        return self._request(endpoint, _path(endpoint, ids), query=query, body=body)

    def _request(self, endpoint: Endpoint, path: str, *, query: Mapping[str, Any] | None, body: Any) -> Reply:
        try:
            return self.transport.request(endpoint, path, query=query, body=body)
        except ApiError as error:
            answered = self.transport.answered.is_set()
            # A 404 of the API has a JSON body. One of a proxy that does not reach the API usually has another one.
            if error.kind == "not_found" and not (answered and error.has_json) and self._is_no_api(path, answered):
                error.kind = "unavailable" if answered else "wrong_path"
            raise

    def _is_no_api(self, path: str, answered: bool) -> bool:
        """Whether the API is not at this address: then E9 is not found either, although it takes no id."""
        if path == KNOWN_PATH:
            return answered
        try:
            self.transport.request(ENDPOINTS["get_fleet_update_policy"], KNOWN_PATH)
        except ApiError as error:
            return error.kind in _NO_API_THERE or answered
        return False

    def _record(self, name: str, *lists: str, **call: Any) -> Record:
        """The answer of a call. The keys ``lists`` must contain lists; null counts as an empty one.

        An error with status 200 has no value under the expected keys. It must not count as an empty list, as an answer
        in which every value is missing, or as the success of a write.
        """
        body = self._call(name, **call).body
        if not isinstance(body, Mapping):
            raise self._unexpected(name, call, f"an object was expected, but the answer is {shape_of(body)}")
        # An empty answer to a read has no values. An answer to a write may consist of a refusal only.
        is_usable = refusal_in(body) is not None if ENDPOINTS[name].writes else not body
        if name in KEYS and says_nothing(body, KEYS[name]) and not is_usable:
            raise self._without("expected value", body, name, **call)
        self._check_ids(body, name, **call)
        for part in lists:
            if part not in body or not isinstance(body[part], list | None):
                raise self._without(part, body, name, **call)
        return {**body, **{part: list(body[part] or ()) for part in lists}}

    def _check_ids(self, answer: Mapping[str, Any], name: str, **call: Any) -> None:
        """Raise ApiError if the answer names another instance or rollout than the one in the path."""
        for key in answer.keys() & call.keys():
            if key.endswith("_id") and are_different_uuids(answer[key], call[key]):
                said = f"the answer is about {answer[key]}, and not about {call[key]}"
                raise self._unexpected(name, call, said)

    def _without(self, part: str, answer: Mapping[str, Any], name: str, /, **call: Any) -> ApiError:
        said = detail_text(self.transport.redactor.scrub(answer), _SHOWN_WORDS)
        return self._unexpected(name, call, f"no {part} in the answer" + (f" ({said})" if said else ""))

    def _page(
        self, name: str, limit: int, offset: int | None, page: int, times: Sequence[str], **ids: str
    ) -> list[Record]:
        """A page of a list, or its newest rows without an offset. ``page`` and ``times``: see paging.read_list."""

        def fetch(most: int, at: int) -> list[Record]:
            return self._records(name, query={"limit": most, "offset": at}, **ids)

        return fetch(limit, offset) if offset is not None else newest_page(fetch, limit, page, times)

    def _records(self, name: str, **call: Any) -> list[Record]:
        body = self._call(name, **call).body
        rows = rows_of(body)
        if not isinstance(body, list) or (body and not rows):
            said = f"{shape_of(body)}{' of other items' if body and isinstance(body, list) else ''}"
            raise self._unexpected(name, call, f"a list of objects was expected, but the answer is {said}")
        return rows

    def _unexpected(self, name: str, call: Mapping[str, Any], detail: str) -> ApiError:
        endpoint = ENDPOINTS[name]
        path = _path(endpoint, {k: v for k, v in call.items() if k.endswith("_id")})
        # The status was a success, so a write may have been carried out, whatever the body is.
        return ApiError("unexpected", endpoint.method, path, status=200, detail=detail, ambiguous=endpoint.writes)


def endpoint_of(method: str, path: str) -> Endpoint:
    """The endpoint of a raw call. A write that the reference does not list gets an endpoint that is never repeated."""
    method = method.upper()
    for endpoint in ENDPOINTS.values():
        if endpoint.method == method and _matcher(endpoint).fullmatch(path):
            return endpoint
    return Endpoint(0, "raw", method, path, Repeat.READ if method == "GET" else Repeat.NEVER)


def _matcher(endpoint: Endpoint) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(endpoint.path)))


def _path(endpoint: Endpoint, ids: Mapping[str, Any]) -> str:
    for name, value in ids.items():
        # Such an id would turn the path into that of another endpoint: "fleet" into one of the whole tenant, and dots
        # into one of a parent folder. Half of a surrogate pair cannot be encoded.
        text = "" if value is None else str(value)
        is_half = text != text.encode(errors="replace").decode()
        if is_half or not text.strip() or text in (".", "..") or (name == "instance_id" and text == "fleet"):
            said = f"{name} is {text!r}, which is not a valid id; nothing was sent"
            raise ApiError("invalid", endpoint.method, endpoint.path, detail=said)
    return endpoint.path.format(**{name: quote(str(value), safe="") for name, value in ids.items()})
