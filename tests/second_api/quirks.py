# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ways in which an API may differ while it still conforms to the reference. Each field is one quirk.

Endpoints are named by their operationId, as in docs/contract/openapi.yaml. Seconds are real seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

# Takes the usual answer of the API and returns the changed one.
Change = Callable[[Any], Any]


@dataclass
class Quirks:
    """The settings of a second API; by default it is an ordinary API."""

    # Lists
    page_cap: dict[str, int] = field(default_factory=dict)  # operation -> maximum rows per call, whatever the limit is
    oldest_first: set[str] = field(default_factory=set)  # operations whose list begins with the oldest row
    list_lag: float = 0.0  # seconds until a new rollout or target appears in a list

    # Clocks and times
    date_skew: float = 0.0  # seconds by which the Date header is ahead of the times in the bodies
    time: Callable[[float], Any] | None = None  # epoch seconds -> the time in the bodies

    # Ids and words
    spell_id: dict[str, Callable[[str], str]] = field(default_factory=dict)  # operation -> spelling of instance ids
    task_id: Callable[[str], Any] | None = None  # task id in the answers of E2, E22, E24 (not in rows)
    words: dict[str, str] = field(default_factory=dict)  # status -> the word that the server uses for it

    # Values
    policy: dict[str, Any] = field(default_factory=dict)  # fields of E9, not validated
    answers: dict[str, Any] = field(default_factory=dict)  # operation -> the body, or a function of the usual body

    # A write that is answered with 200 but not executed: operation -> the body
    refused: dict[str, Any] = field(default_factory=dict)

    # HTTP
    status: dict[str, int] = field(default_factory=dict)  # operation -> status, with the body {"detail": ...}
    detail: dict[str, Any] = field(default_factory=dict)  # operation -> the detail of that body
    headers: Mapping[str, str] = field(default_factory=dict)  # added to every answer
    latency: dict[str, float] = field(default_factory=dict)  # operation or "*" -> seconds before it is executed
    drip: dict[str, float] = field(default_factory=dict)  # operation or "*" -> seconds between two bytes of the body
    drip_head: dict[str, float] = field(default_factory=dict)  # the same for the status line and the headers
    base_path: str = ""  # the path prefix of the API
    gateway: tuple[str, str] | None = None  # name and value of a header without which a call is refused

    # Behaviour
    deploy_seconds: float = 0.2
    outcomes: dict[str, str] = field(default_factory=dict)  # host name -> the final status of its redeploy
