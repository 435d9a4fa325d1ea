# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Watching an instance after a restart call, by its health (E16) and its actions (E11)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from .._client.client import ACTIONS_CAP, FleetClient
from .._client.errors import ApiError
from .._module.operation import Context
from .._rules.answers import Record, number
from .._rules.restart import Watch, has_failed, rows_of, started_action
from .wait import wait_until

# The kinds of errors with which calls may fail while an agent is restarting.
DOWN = frozenset(
    {
        "not_found",
        "conflict",
        "server",
        "unavailable",
        "timeout",
        "connection_lost",
        "unreachable",
        "unreadable",
        "unexpected",
    }
)


@dataclass(frozen=True)
class Restart:
    """One kind of restart. ``action``: its name in E11 and its operationId. ``words``: its name in messages.

    ``over_after``: seconds after which a restart is usually over. ``absent_after``: seconds after which a call with an
    unknown outcome counts as not carried out, if the agent still answers with its old boot time and E11 has no row.
    ``send``: the call, with the client and the instance's id.
    """

    action: str
    words: str
    over_after: float
    absent_after: float
    send: Callable[[FleetClient, str], Record]


@dataclass
class Course:
    """The course of a restart after the call.

    ``known``: the rows of E11 before the call (action_key). ``watch``: what the health records have shown. ``sent_at``:
    when it was sent (context.clock). ``action_id``: from the answer. ``ambiguous``: the error if the outcome is
    unknown. ``row``: its row in E11, if it was found. ``listed``: whether the last read of E11 succeeded.
    """

    known: frozenset[str]
    watch: Watch
    sent_at: float
    action_id: str | None = None
    ambiguous: ApiError | None = None
    row: Record | None = None
    listed: bool = False


def actions_of(context: Context) -> list[Record]:
    """The instance's actions (E11), newest first."""
    return rows_of(context.client.list_instance_actions(context.params["instance_id"], limit=ACTIONS_CAP))


@contextmanager
def without_repeats(context: Context) -> Iterator[FleetClient]:
    """A client without retries, for an agent that may be down, since its state is read again and again anyway."""
    client = context.client.clone()
    client.transport.settings = replace(client.transport.settings, retries=0)
    client.transport.trace = context.client.trace
    try:
        yield client
    finally:
        client.close()


def look(context: Context, client: FleetClient, course: Course) -> None:
    """Read the health of the agent once more."""
    since_call = context.clock() - course.sent_at
    try:
        health = client.get_deep_health(context.params["instance_id"], force=True)
    except ApiError as error:
        if error.kind == "rate_limited":
            return
        if error.kind not in DOWN:
            raise
        course.watch = course.watch.see(None, since_call, _answer_in_words(error))
        return
    context.result.update(health_after=health, uptime_after=number(health.get("uptime_seconds")))
    course.watch = course.watch.see(health, since_call)


def _answer_in_words(error: ApiError) -> str:
    status = f"HTTP {error.status}" if error.status else error.kind.replace("_", " ")
    return f"its last health check ended with {status}{f' ({error.detail})' if error.detail else ''}"


def look_for_row(context: Context, restart: Restart, client: FleetClient, course: Course) -> None:
    """Look for the row of the call in E11."""
    try:
        rows = rows_of(client.list_instance_actions(context.params["instance_id"], limit=ACTIONS_CAP))
    except ApiError as error:
        if error.kind not in DOWN | {"rate_limited"}:
            raise
        course.listed = False
        return
    course.listed = True
    course.row = started_action(rows, restart.action, course.known, course.action_id) or course.row
    if course.row is None:
        return
    context.result.update(
        action_id=course.row.get("action_id") or course.row.get("id"), duration_ms=course.row.get("duration_ms")
    )


def fail_if_failed(context: Context, restart: Restart, course: Course) -> None:
    """Fail if E11 says that the restart has failed."""
    if course.row is not None and has_failed(course.row):
        said = course.row.get("message") or course.row.get("status")
        context.fail(f"The {restart.words} of {context.instance} failed on the server: {said}.")


def reconcile(context: Context, restart: Restart, course: Course) -> str:
    """Whether a call with an unknown outcome was carried out: executed, not_executed, or unknown after wait_timeout."""

    def verdict() -> str:
        look(context, client, course)
        look_for_row(context, restart, client, course)
        if course.row is not None or course.watch.moved:
            return "executed"
        quiet = course.watch.untouched and course.listed
        return "not_executed" if quiet and context.clock() - course.sent_at >= restart.absent_after else "unknown"

    with without_repeats(context) as client:
        return wait_until(
            context,
            verdict,
            lambda found: found != "unknown",
            timeout=context.params["wait_timeout"],
            longest_interval=context.params["wait_interval"],
        ).state
