# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values that ansible-inventory prints."""

from __future__ import annotations

from typing import Any


def plain(value: Any) -> Any:
    """A value without the marker that ansible-core adds to a text that is not a template."""
    return value["__ansible_unsafe"] if isinstance(value, dict) and "__ansible_unsafe" in value else value
