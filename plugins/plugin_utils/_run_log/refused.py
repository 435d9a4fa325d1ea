# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tells the run log of this process that a run is refused before it has a host, of which no callback hears."""

from __future__ import annotations

from collections.abc import Callable

_listeners: list[Callable[[str], None]] = []


def listen(listener: Callable[[str], None]) -> None:
    """Take ``listener`` as the one to be told."""
    _listeners[:] = [listener]


def tell_refused(why: str) -> None:
    """Say why the run ends here; nobody needs to listen."""
    for listener in _listeners:
        listener(why)
