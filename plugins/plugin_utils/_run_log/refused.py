# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Informs the run log of this process that a run is refused before it has a host. Ansible calls no callback then."""

from __future__ import annotations

from collections.abc import Callable

_listeners: list[Callable[[str], None]] = []


def listen(listener: Callable[[str], None]) -> None:
    """Register ``listener``, which replaces an earlier one."""
    _listeners[:] = [listener]


def tell_refused(why: str) -> None:
    """Call the registered listener, if there is one, with the reason why the run ends."""
    for listener in _listeners:
        listener(why)
