# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A key that the server refused once is not tried again in the same run: one failure, and not one for each instance.

The workers of a run share nothing but its folder of temporary files, so an empty file there says it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from ansible import constants


class RefusedKey:
    """Whether the server refused this key (HTTP 401) to an earlier task of this run."""

    def __init__(self, api_url: Any, api_key: Any) -> None:
        identity = hashlib.sha256(repr((str(api_url), str(api_key))).encode()).hexdigest()
        self._sign = Path(constants.DEFAULT_LOCAL_TMP) / f"fleetops-key-refused-{identity[:32]}"

    @property
    def known(self) -> bool:
        return self._sign.exists()

    def tell(self) -> bool:
        """Say that the key was refused; whether this task is the first one to say it."""
        try:
            self._sign.touch(mode=0o600, exist_ok=False)
        except FileExistsError:
            return False
        except OSError:
            # Without the sign each task finds out for itself.
            return True
        return True
