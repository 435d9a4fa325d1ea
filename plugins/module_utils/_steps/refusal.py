# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A refusal by the server in words that help: what it said and, if the maintenance window is closed, until when."""

from __future__ import annotations

from typing import NoReturn

from ansible_collections.fleetops.agents.plugins.module_utils._client.errors import ApiError
from ansible_collections.fleetops.agents.plugins.module_utils._module.operation import Context
from ansible_collections.fleetops.agents.plugins.module_utils._rules.window import Window


def fail_if_refused(context: Context, error: ApiError) -> None:
    """Fail if ``error`` says that the call was not allowed: a role that is too low, or a closed window.

    A closed window may show as any refusal; a conflict is about it only if it says so (behaviour 2.7, Window).
    """
    about_window = error.kind == "conflict" and "window" in (error.detail or "").lower()
    if error.kind in ("forbidden", "invalid") or about_window:
        context.fail(f"{error} {closed_window(context)}".strip(), error=error.as_dict())


def fail_if_window_is_unknown(context: Context) -> None:
    """Fail, with the verdict ``inconclusive``, if the hours of the maintenance window cannot be read.

    A policy that the server does not give is left to the server's own judgement.
    """
    try:
        problem = Window.of_policy(context.client.get_fleet_update_policy()).problem
    except ApiError as error:
        if error.kind == "auth":
            raise
        return
    if problem:
        context.fail(f"{problem} Nothing was sent.", verdict="inconclusive")


def fail_refused(context: Context, what: str, said: str) -> NoReturn:
    """Fail for an answer with status 200 that says no, in the server's words. ``what`` begins the sentence."""
    context.fail(f"{what} was refused by the server: {said}. {closed_window(context)}".strip(), refused=said)


def closed_window(context: Context) -> str:
    """The maintenance window in words if it is closed, for work that it may hold back; otherwise nothing."""
    try:
        window = Window.of_policy(context.client.get_fleet_update_policy())
    except ApiError:
        return ""
    now = context.client.server_time
    return "" if now is None or window.is_open(now) else window.sentence(now)
