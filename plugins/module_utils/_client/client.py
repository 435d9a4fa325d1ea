# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The instance ops API as Python: one method an endpoint, named by its operationId."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from .._rules.answers import Record, rollout_is_terminal
from .endpoints import ENDPOINTS, Endpoint, Repeat
from .errors import KNOWN_PATH, ApiError
from .paging import OLDEST_FIRST, Listing, newest_page, order_of, read_list
from .transport import Reply, Settings, SettingsError, Transport

__all__ = ["ApiError", "FleetClient", "Settings", "SettingsError", "Transport", "connect"]

# The largest limits that every reading of the reference allows (behaviour 2.2).
ROLLOUTS_PAGE = 100
AUDIT_PAGE = 500
MEMORY_CAP = 200
ACTIONS_CAP = 100
# The keys of the rows' times, which tell how a list is ordered.
ROLLOUT_TIMES = ACTION_TIMES = ("created_at",)
AUDIT_TIMES = ("event_ts", "ingested_at")

# What a server says to E9 where the API is not: not found, a page of HTML, another address.
_NO_API_THERE = frozenset({"not_found", "unreadable", "redirected"})

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
) -> FleetClient:
    """A client for one server. Nothing is sent yet. Raises SettingsError for settings that cannot be used."""
    settings = Settings(
        api_url=api_url,
        api_key=api_key,
        validate_certs=validate_certs,
        ca_path=ca_path,
        request_timeout=float(request_timeout),
        retries=int(retries),
        headers=dict(headers or {}),
    )
    return FleetClient(Transport(settings, read_only=read_only, on_repeat=on_repeat))


class FleetClient:
    """One method an endpoint. Ids go in as text; answers come back as plain data of the documented shape.

    A list (E3, E20, E23) is read in two ways. Without an offset a ``list_`` method gives what one page shows of the
    newest rows, whichever way round the server lists; with one it gives that page as it is. The server may give fewer
    rows than ``limit``, so a short page is no proof of anything. An ``all_`` method reads to the list's end.

    A success with a body of another shape raises ApiError (kind ``unexpected``), so that a reader may rely on getting
    a mapping or a list of mappings - but on no key in it. Every method raises ApiError.
    """

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    def clone(self) -> FleetClient:
        """A client for another thread: same settings, own session and trace."""
        return FleetClient(self.transport.clone())

    def close(self) -> None:
        self.transport.close()

    @property
    def trace(self) -> list[Record]:
        """A row per attempt: method, path, attempt, ms, status or error."""
        return self.transport.trace

    @property
    def server_time(self) -> float | None:
        """The server's clock (Date header, epoch seconds UTC) at the latest answer."""
        return self.transport.server_time

    # E1 to E8: fleet rollouts

    def get_rollout_timeline(self, rollout_id: str) -> Record:
        """E1: one rollout's targets with host names and times, under ``timeline``."""
        return self._record("get_rollout_timeline", rollout_id=rollout_id)

    def start_fleet_rollout(self, *, override_window: bool = False) -> Record:
        """E2: push the runtime to all running instances. Answers ``enqueued``, ``skipped``, ``total``, no id."""
        return self._record("start_fleet_rollout", query={"override_window": override_window})

    def list_fleet_rollouts(self, *, limit: int = 20, offset: int | None = None) -> list[Record]:
        """E3: a page of the tenant's rollouts; ``limit`` 1 to 100."""

        def fetch(most: int, at: int) -> list[Record]:
            return self._records("list_fleet_rollouts", query={"limit": most, "offset": at})

        return fetch(limit, offset) if offset is not None else newest_page(fetch, limit, ROLLOUTS_PAGE, ROLLOUT_TIMES)

    def all_fleet_rollouts(self, *, most: int | None = None, until: Until | None = None) -> list[Record]:
        """E3, every page: see paging.read_list for ``most`` and ``until``."""
        return self._paged(self.list_fleet_rollouts, ROLLOUTS_PAGE, ROLLOUT_TIMES, most, until).rows

    def open_fleet_rollouts(self) -> list[Record]:
        """E3: the rollouts of ``recent_fleet_rollouts()`` that are not at their end."""
        return [row for row in self.recent_fleet_rollouts() if not rollout_is_terminal(row)]

    def recent_fleet_rollouts(self) -> list[Record]:
        """E3: the rollouts from the newest row down to 100 in a row that are at their end.

        One call where the newest 100 are all at their end, or one more where there are fewer than 100.
        """
        ended_in_a_row = 0

        def far_below(row: Record) -> bool:
            nonlocal ended_in_a_row
            ended_in_a_row = ended_in_a_row + 1 if rollout_is_terminal(row) else 0
            return ended_in_a_row >= ROLLOUTS_PAGE

        return self.all_fleet_rollouts(until=far_below)

    def get_rollout(self, rollout_id: str) -> Record:
        """E4: ``rollout`` and its ``targets`` (without host names)."""
        body = self._record("get_rollout", rollout_id=rollout_id)
        if not isinstance(body.get("rollout"), Mapping):
            raise self._unexpected("get_rollout", {"rollout_id": rollout_id}, "no rollout in the answer")
        rollout, targets = dict(body["rollout"]), body.get("targets")
        # The server may leave out the id that it was asked for.
        rollout["id"] = rollout.get("id") or rollout_id
        return {**body, "rollout": rollout, "targets": _rows(targets) if targets else []}

    def cancel_rollout(self, rollout_id: str, *, force: bool = False) -> Any:
        """E5: revoke queued targets; ``force`` also terminates those in progress. Read E4 afterwards."""
        return self._call("cancel_rollout", query={"force": force}, rollout_id=rollout_id).body

    def pause_rollout(self, rollout_id: str) -> Any:
        """E6: revoke queued targets until resumed. Read E4 afterwards."""
        return self._call("pause_rollout", rollout_id=rollout_id).body

    def resume_rollout(self, rollout_id: str) -> Any:
        """E7: queue the cancelled targets again. Read E4 afterwards."""
        return self._call("resume_rollout", rollout_id=rollout_id).body

    def retry_rollout_target(self, rollout_id: str, target_id: str) -> Any:
        """E8: queue one failed or uncertain target again. Read E4 afterwards."""
        return self._call("retry_rollout_target", rollout_id=rollout_id, target_id=target_id).body

    # E9, E10: the tenant's policy

    def get_fleet_update_policy(self) -> Record:
        """E9: window hours (UTC), ``max_parallel_rollouts``, and a default per component."""
        return self._record("get_fleet_update_policy")

    def set_fleet_update_policy(self, changes: Mapping[str, Any]) -> Record:
        """E10: change the given keys; answers the policy as it then is."""
        return self._record("set_fleet_update_policy", body=dict(changes))

    # E11 to E16: actions and health of one instance

    def list_instance_actions(self, instance_id: str, *, limit: int = 20) -> Record:
        """E11: ``actions``, newest first, and ``total``. There is no paging: of a larger total the rest is unread."""
        answer = self._record("list_instance_actions", query={"limit": limit}, instance_id=instance_id)
        if order_of(_rows(answer.get("actions")), ACTION_TIMES) == OLDEST_FIRST:
            if limit < ACTIONS_CAP:
                answer = self._record("list_instance_actions", query={"limit": ACTIONS_CAP}, instance_id=instance_id)
            answer["actions"] = answer["actions"][::-1] if isinstance(answer.get("actions"), list) else []
        return answer

    def clear_circuit_breakers(self, instance_id: str) -> Record:
        """E12: close every LLM provider's circuit breaker."""
        return self._record("clear_circuit_breakers", instance_id=instance_id)

    def power_cycle(self, instance_id: str) -> Record:
        """E13: restart the agent's process (about 2 s)."""
        return self._record("power_cycle", instance_id=instance_id)

    def reboot(self, instance_id: str) -> Record:
        """E14: reboot the whole VPS (about 60 s; admin)."""
        return self._record("reboot", instance_id=instance_id)

    def run_diagnostics(self, instance_id: str) -> Record:
        """E15: check live and store the result; answers like E16."""
        return self._record("run_diagnostics", instance_id=instance_id)

    def get_deep_health(self, instance_id: str, *, force: bool = False) -> Record:
        """E16: the stored health record, or with ``force`` a live one (slower)."""
        live = {"repeat": Repeat.READ_ONCE_MORE, "read_timeout": 60.0} if force else {}
        return self._record("get_deep_health", query={"force": force}, instance_id=instance_id, endpoint_change=live)

    # E17 to E19: memory

    def list_memories(
        self, instance_id: str, *, conversation_id: str | None = None, customer_id: str | None = None, limit: int = 100
    ) -> Record:
        """E17: ``memories``, at most 200 and without paging; ``status`` is a mapping here."""
        query = {"conversation_id": conversation_id, "customer_id": customer_id, "limit": limit}
        return self._record("list_memories", query=query, instance_id=instance_id)

    def store_memory(self, instance_id: str, memory: Mapping[str, Any]) -> Record:
        """E18: store one fact or procedural memory."""
        return self._record("store_memory", body=dict(memory), instance_id=instance_id)

    def clear_memories(self, instance_id: str, selection: Mapping[str, Any]) -> Record:
        """E19: clear memories; answers ``deleted``. An empty selection probably means all of them."""
        return self._record("clear_memories", body=dict(selection), instance_id=instance_id)

    # E20, E21: audit

    def list_audit_events(self, instance_id: str, *, limit: int = 100, offset: int | None = None) -> list[Record]:
        """E20: a page of audit events; ``limit`` 1 to 500."""

        def fetch(most: int, at: int) -> list[Record]:
            return self._records("list_audit_events", query={"limit": most, "offset": at}, instance_id=instance_id)

        return fetch(limit, offset) if offset is not None else newest_page(fetch, limit, AUDIT_PAGE, AUDIT_TIMES)

    def all_audit_events(
        self, instance_id: str, *, most: int | None = None, until: Until | None = None, first: int | None = None
    ) -> Listing:
        """E20, every page: see paging.read_list for ``most``, ``until`` and ``first``."""

        def fetch(*, limit: int, offset: int) -> list[Record]:
            return self.list_audit_events(instance_id, limit=limit, offset=offset)

        return self._paged(fetch, AUDIT_PAGE, AUDIT_TIMES, most, until, first)

    def get_audit_summary(self, instance_id: str) -> Record:
        """E21: counts of audit events since ever, by outcome and under ``by_source``."""
        return self._record("get_audit_summary", instance_id=instance_id)

    # E22 to E26: runtime and updates of one instance

    def redeploy_runtime(self, instance_id: str) -> Record:
        """E22: push the runtime bundle to one running instance (admin); answers ``task_id``."""
        return self._record("redeploy_runtime", instance_id=instance_id)

    def list_instance_rollouts(self, instance_id: str, *, limit: int = 20, offset: int | None = None) -> list[Record]:
        """E23: a page of the instance's rollout targets; ``limit`` 1 to 100."""

        def fetch(most: int, at: int) -> list[Record]:
            query = {"limit": most, "offset": at}
            return self._records("list_instance_rollouts", query=query, instance_id=instance_id)

        return fetch(limit, offset) if offset is not None else newest_page(fetch, limit, ROLLOUTS_PAGE, ROLLOUT_TIMES)

    def all_instance_rollouts(
        self, instance_id: str, *, most: int | None = None, until: Until | None = None
    ) -> list[Record]:
        """E23, every page: see paging.read_list for ``most`` and ``until``."""

        def fetch(*, limit: int, offset: int) -> list[Record]:
            return self.list_instance_rollouts(instance_id, limit=limit, offset=offset)

        return self._paged(fetch, ROLLOUTS_PAGE, ROLLOUT_TIMES, most, until).rows

    def apply_all_updates(self, instance_id: str) -> Record:
        """E24: apply all updates, skills first, runtime last; answers ``runtime_task_id`` and ``skills_applied``."""
        return self._record("apply_all_updates", instance_id=instance_id)

    def get_available_updates(self, instance_id: str) -> Record:
        """E25: running against available versions, and the instance's update policy."""
        return self._record("get_available_updates", instance_id=instance_id)

    def set_instance_update_policy(self, instance_id: str, changes: Mapping[str, Any]) -> Record:
        """E26: override the update policy per component; None inherits again (assumption of behaviour 2.6)."""
        return self._record("set_instance_update_policy", body=dict(changes), instance_id=instance_id)

    # Anything else

    def raw(self, method: str, path: str, *, query: Mapping[str, Any] | None = None, body: Any = None) -> Reply:
        """Any call below ``/v1/``, with the repeat rule of its endpoint; an unknown write is never repeated."""
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
            asked = (endpoint.method, path) == ("GET", KNOWN_PATH)
            if error.kind == "not_found" and not asked and not self.transport.answered.is_set() and self._is_no_api():
                error.kind = "wrong_path"
                error.args = (error.sentence(),)
            raise

    def _is_no_api(self) -> bool:
        """Whether the server denies E9 too, which takes no id: then not the id is unknown, but the API is elsewhere."""
        try:
            self.transport.request(ENDPOINTS["get_fleet_update_policy"], KNOWN_PATH)
        except ApiError as error:
            return error.kind in _NO_API_THERE
        return False

    def _record(self, name: str, **call: Any) -> Record:
        body = self._call(name, **call).body
        if not isinstance(body, Mapping):
            raise self._unexpected(name, call, f"an object was expected, {_shape(body)} came")
        return dict(body)

    def _records(self, name: str, **call: Any) -> list[Record]:
        body = self._call(name, **call).body
        if not isinstance(body, list):
            raise self._unexpected(name, call, f"a list was expected, {_shape(body)} came")
        return _rows(body)

    def _paged(
        self,
        fetch: Callable[..., list[Record]],
        page: int,
        times: tuple[str, ...],
        most: int | None,
        until: Until | None,
        first: int | None = None,
    ) -> Listing:
        def read_page(limit: int, offset: int) -> list[Record]:
            return fetch(limit=limit, offset=offset)

        return read_list(read_page, page=page, most=most, until=until, times=times, first=first)

    def _unexpected(self, name: str, call: Mapping[str, Any], detail: str) -> ApiError:
        endpoint = ENDPOINTS[name]
        path = _path(endpoint, {k: v for k, v in call.items() if k.endswith("_id")})
        # A write that was answered with success has happened, whatever its answer looks like.
        return ApiError("unexpected", endpoint.method, path, status=200, detail=detail, ambiguous=endpoint.writes)


def endpoint_of(method: str, path: str) -> Endpoint:
    """The endpoint that a raw call belongs to. One that the reference does not know is never repeated if it writes."""
    method = method.upper()
    for endpoint in ENDPOINTS.values():
        if endpoint.method == method and _matcher(endpoint).fullmatch(path):
            return endpoint
    return Endpoint(0, "raw", method, path, Repeat.READ if method == "GET" else Repeat.NEVER)


def _matcher(endpoint: Endpoint) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(endpoint.path)))


def _path(endpoint: Endpoint, ids: Mapping[str, Any]) -> str:
    for name, value in ids.items():
        # Such an id would make another endpoint of the path: "fleet" the whole tenant's, the dots one further up.
        if not str(value).strip() or str(value) in (".", "..") or (name == "instance_id" and str(value) == "fleet"):
            said = f"{name} is {str(value)!r}, which is no id; nothing was sent"
            raise ApiError("invalid", endpoint.method, endpoint.path, detail=said)
    return endpoint.path.format(**{name: quote(str(value), safe="") for name, value in ids.items()})


def _rows(items: Any) -> list[Record]:
    """The mappings of a list; anything else in it cannot be a record and is left out."""
    return [dict(item) for item in items if isinstance(item, Mapping)] if isinstance(items, list) else []


def _shape(body: Any) -> str:
    if body is None:
        return "nothing"
    return {list: "a list", dict: "an object", str: "a text", bool: "true or false"}.get(type(body), "a number")
