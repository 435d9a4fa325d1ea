# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventory files that the plugin fleet could not read in this process, and why.

Unless it is configured otherwise, Ansible only warns of them and goes on with the hosts of the other files, or with
none. The plays ask here before they act on a part of what was named.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_why: dict[str, str] = {}


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Around the reading of the file ``path``: a failure is noted and passed on, a success ends an earlier note."""
    try:
        yield
    except Exception as error:
        _why[path] = str(error)
        raise
    _why.pop(path, None)


def unread_inventories() -> dict[str, str]:
    """The reason by the file's path."""
    return dict(_why)
