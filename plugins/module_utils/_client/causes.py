# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The causes of an exception, and what they say. Standard library only."""

from __future__ import annotations

import contextlib
import traceback


def causes_of(failure: BaseException) -> list[BaseException]:
    """The exception and all others that led to it."""
    seen: list[BaseException] = []
    todo: list[BaseException | None] = [failure]
    while todo:
        cause = todo.pop(0)
        if cause is None or cause in seen:
            continue
        seen.append(cause)
        todo += [a for a in (*cause.args, getattr(cause, "reason", None)) if isinstance(a, BaseException)]
        todo += [cause.__cause__, None if cause.__suppress_context__ else cause.__context__]
    return seen


def raised_in(function: str, chain: list[BaseException]) -> BaseException | None:
    """The first of the causes that were raised in this function. In connect or do_handshake, nothing was sent yet."""
    for cause in reversed(chain):
        if any(frame.f_code.co_name == function for frame, _line in traceback.walk_tb(cause.__traceback__)):
            return cause
    return None


def phrase_of(cause: BaseException) -> str:
    """The operating system's text for the failure, with its file if it is about one, or the exception's own text."""
    with contextlib.suppress(AttributeError):
        if isinstance(cause, OSError) and cause.strerror:
            # For example the file that SSLKEYLOGFILE names.
            return f"{cause.strerror} ({cause.filename})" if cause.filename else str(cause.strerror)
    return str(cause) or type(cause).__name__
