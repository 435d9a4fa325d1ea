# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Reading from a socket until a deadline, even if bytes keep arriving. Standard library only.

The timeout of a socket alone limits only the time between two arrivals of bytes.
"""

from __future__ import annotations

import io
import time
from typing import Any

NOT_WHOLE = "the answer was not complete within the time limit"


class UntilTheDeadline(io.RawIOBase):
    """Reads ``stream``, which belongs to the socket ``sock``. After ``seconds`` a read raises TimeoutError."""

    def __init__(self, stream: io.RawIOBase, sock: Any, seconds: float) -> None:
        super().__init__()
        self._stream, self._socket = stream, sock
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
