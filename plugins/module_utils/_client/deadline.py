# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Reading from a socket until a deadline, however often a few bytes arrive before it. Standard library only."""

from __future__ import annotations

import io
import time
from typing import Any

NOT_WHOLE = "the answer was not whole within the time limit"


class UntilTheDeadline(io.RawIOBase):
    """Reads ``stream``, which is of the socket ``connection``, for ``seconds`` from now; then raises TimeoutError."""

    def __init__(self, stream: io.RawIOBase, connection: Any, seconds: float) -> None:
        super().__init__()
        self._stream, self._socket = stream, connection
        self._deadline = time.monotonic() + seconds
        self._began = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(NOT_WHOLE)
        self._socket.settimeout(left)
        try:
            count = self._stream.readinto(buffer)
        except TimeoutError:
            raise TimeoutError(NOT_WHOLE if self._began else "timed out") from None
        self._began = True
        return count

    def close(self) -> None:
        self._stream.close()
        super().close()
