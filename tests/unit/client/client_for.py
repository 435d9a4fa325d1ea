# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A client for a server of the test, and the error of a call."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.fleetops.agents.plugins.module_utils._client.client import (
    ApiError,
    FleetClient,
    Settings,
    Transport,
)
from tests.second_api.api import KEY

ONE = "4f0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10"


def client_for(url: str, *, pauses: list[float] | None = None, jitter: float = 0.0, **settings: Any) -> FleetClient:
    chosen = Settings(**{"api_url": url, "api_key": KEY, "retries": 0, **settings})
    sleep = (lambda seconds: None) if pauses is None else pauses.append
    return FleetClient(Transport(chosen, sleep=sleep, jitter=lambda: jitter))


def failure(client: FleetClient, name: str, *arguments: str) -> ApiError:
    with pytest.raises(ApiError) as caught:
        getattr(client, name)(*arguments)
    return caught.value
