# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A schemathesis hook that replaces half of the generated UUIDs in paths by ids that exist in the simulator."""

from __future__ import annotations

import json
import os
from typing import Any
from uuid import UUID

import schemathesis

IDS: dict[str, list[str]] = json.loads(os.environ.get("REAL_IDS") or "{}")
ROLLOUT_OF: dict[str, str] = json.loads(os.environ.get("ROLLOUT_OF") or "{}")


def is_uuid(text: object) -> bool:
    try:
        return str(UUID(str(text))) == str(text)
    except ValueError:
        return False


@schemathesis.hook
def map_path_parameters(context: Any, path_parameters: Any) -> Any:
    """Only UUIDs are replaced, so that values that are meant to be invalid stay invalid."""
    for name, known in IDS.items():
        value = (path_parameters or {}).get(name)
        if known and is_uuid(value) and UUID(value).int % 2 == 0:
            path_parameters[name] = known[UUID(value).int // 2 % len(known)]
            # A target exists only in its own rollout.
            if name == "target_id" and is_uuid(path_parameters.get("rollout_id")):
                path_parameters["rollout_id"] = ROLLOUT_OF[path_parameters[name]]
    return path_parameters
