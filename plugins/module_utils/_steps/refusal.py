# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Messages about a refusal by the server, with its words and, if the maintenance window is closed, its next opening."""

from __future__ import annotations

from typing import NoReturn

from .._client.errors import ApiError
from .._module.operation import Context
from .._rules.window import Window


def fail_if_refused(context: Context, error: ApiError) -> None:
    """Fail if ``error`` means that the call was not allowed, because of the key's role or a closed window.

    Any refusal may mean a closed window, but a conflict only if its text says so (behaviour 2.7, Window).
    """
    about_window = error.kind == "conflict" and "window" in (error.detail or "").lower()
    if error.kind in ("forbidden", "invalid") or about_window:
        context.fail(f"{error} {closed_window(context)}".strip(), error=error.as_dict())


def fail_if_window_is_unknown(context: Context) -> None:
    """Fail with the verdict ``inconclusive`` if the hours of the maintenance window are invalid.

    If the policy cannot be read, this does not fail, and the server decides.
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
    """Fail for a refusal in an answer with status 200. ``what``: begins the sentence. ``said``: the server's words."""
    context.fail(f"{what} was refused by the server: {said}. {closed_window(context)}".strip(), refused=said)


def closed_window(context: Context) -> str:
    """A sentence about the maintenance window if it is closed; otherwise empty."""
    try:
        window = Window.of_policy(context.client.get_fleet_update_policy())
    except ApiError:
        return ""
    now = context.client.server_time
    return "" if now is None or window.is_open(now) else window.sentence(now)
