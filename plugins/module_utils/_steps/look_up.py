# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""How a task fails if it sent a write and cannot find out afterwards what the write did."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .._client.errors import ApiError
from .._module.operation import Context, OperationFailed, not_verified


@contextmanager
def looking_up(
    context: Context,
    lost: ApiError | None = None,
    refused: str | None = None,
    *,
    doing: str = "Looking for what it did",
    **facts: Any,
) -> Iterator[None]:
    """Read, in the block, what a write did. If the block raises ApiError, fail with what is known of the write.

    If the outcome of the write is unknown, it also remains unknown if the block fails in another way.

    ``lost``: the error of the write, if its outcome is unknown. ``refused``: the server's words, if its answer is a
    refusal, which may be wrong. Without either, the server accepted the write. ``doing``: what the block does.
    ``facts``: further return values.
    """
    try:
        yield
    except (ApiError, OperationFailed) as failure:
        if lost is not None:
            context.changed = True
            known = failure.facts if isinstance(failure, OperationFailed) else {}
            # A refusal after several attempts counts as unknown too, since an earlier one may have been carried out.
            context.fail(
                f"{lost} {doing} failed too: {failure}",
                **{**known, "ambiguous": True, "error": {**lost.as_dict(), "ambiguous": True}, **facts},
            )
        if isinstance(failure, OperationFailed):
            raise
        context.changed = True
        if refused is not None:
            context.fail(
                f"The server answered: {refused}. Whether it carried out the call nevertheless is unknown. "
                f"{doing} failed: {failure}",
                ambiguous=True,
                refused=refused,
                error=failure.as_dict(),
                **facts,
            )
        context.fail(not_verified(failure), error=failure.as_dict(), **facts)
