# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventory files that the plugin fleet could not read in this process, and why.

By default the plugin makes Ansible stop at such a file. With any_unparsed_is_failed=false Ansible only warns and
continues with the other hosts. The collection's playbooks (lookup play_hosts) read the failures here and refuse to
act on only a part of the fleet. Both are needed: the first protects plays that do not use the lookup
(test_inventory_values), the second protects the playbooks under that setting (test_nothing_to_do).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_why: dict[str, str] = {}


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Record a failure to read the file ``path`` and raise it again. A success removes an earlier record."""
    try:
        yield
    except Exception as error:
        _why[path] = str(error)
        raise
    _why.pop(path, None)


def unread_inventories() -> dict[str, str]:
    """The reasons, by the path of the file."""
    return dict(_why)
