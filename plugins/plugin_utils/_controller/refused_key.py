# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A key that the server has refused is not used again in the same run, so there is one failure, not one per instance.

The workers of a run share only its folder for temporary files, so a file there records the refusal. It contains the
name of the host whose task failed.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from ansible import constants


class RefusedKey:
    """The record of whether the server has refused this key (status 401) in this run."""

    def __init__(self, api_url: Any, api_key: Any) -> None:
        identity = hashlib.sha256(repr((str(api_url), str(api_key))).encode()).hexdigest()
        self._file = Path(constants.DEFAULT_LOCAL_TMP) / f"fleetops-key-refused-{identity[:32]}"

    @property
    def host(self) -> str | None:
        """The host whose task has recorded the refusal; None if none has. Empty while it is being recorded."""
        try:
            return self._file.read_text(encoding="utf-8")
        except OSError:
            return None

    def record(self, host: str) -> bool:
        """Record that the key was refused. Returns whether this task is the first one that does so."""
        try:
            descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(host)
        except FileExistsError:
            return False
        except OSError:
            # Without the file, each task uses the key and fails.
            return True
        return True
