# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""A claim for reading and then writing, so that no other task on this machine does the same at the same time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from .._module.operation import Context
from .admission_locks import Admission, AdmissionError
from .wait import wait_until

# Seconds to wait for the other task. A restart keeps its claim until there is evidence of it.
_WAITS_FOR = 3600.0


@contextmanager
def claimed(context: Context, name: str, what: str) -> Iterator[float | None]:
    """Claim ``name`` on this machine for the block, after waiting for another task that has claimed it.

    Yields the time when the wait began (epoch seconds, local clock), None if there was no wait. ``what``: what the
    other task does, for the message of the failure after an hour. Nothing is claimed in check mode. Must not be nested.
    """
    if context.check_mode:
        yield None
        return
    admission = Admission(context.params["api_url"])
    started = time.time()
    try:
        try:
            waited = wait_until(
                context,
                lambda: admission.claim(name),
                bool,
                timeout=_WAITS_FOR,
                interval=0.05,
                longest_interval=1.0,
            )
        except AdmissionError as failure:
            context.fail(f"Nothing was sent: {failure}.")
        if not waited.done:
            context.fail(
                f"Nothing was sent: for {waited.seconds:.0f} s another task on this machine was {what}. Run this "
                "task again when that one has ended.",
                timed_out=True,
            )
        yield started if waited.reads > 1 else None
    finally:
        admission.leave()
