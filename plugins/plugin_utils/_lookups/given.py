# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values of variables of a playbook or role. A blank one counts as not given, others get the type of the default."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.fleetops.agents.plugins.module_utils._rules.ids import require_text
from ansible_collections.fleetops.agents.plugins.module_utils._rules.plain_values import is_blank, list_of_text

_INTEGER = re.compile(r"[+-]?[0-9]+")


class GivenError(ValueError):
    """An invalid value. The message is a sentence that names the variable."""


def typed(name: str, value: Any, default: Any) -> Any:
    """``value``, which must not be blank, converted to the type of ``default``; unchanged if the default is None.

    ``name``: of the variable, for the message. Raises GivenError.
    """
    if default is None:
        return value
    if isinstance(default, bool):
        return _truth(name, value)
    if isinstance(default, int):
        return _whole(name, value)
    if isinstance(default, float):
        return _number(name, value)
    if isinstance(default, list):
        return _words(name, value)
    return text(name, value)


def text(name: str, value: Any) -> str:
    """A text as it was written, without the quotes that an answer to a survey may need. Raises GivenError."""
    try:
        written = require_text(value, name)
    except ValueError as bad:
        if isinstance(value, (list, tuple, dict)):
            raise GivenError(f"{bad}.") from None
        raise GivenError(
            f"{bad}. ansible-core 2.19 and newer also convert an answer to a survey: type the quotes into the answer, "
            '"0012345".'
        ) from None
    if len(written) > 2 and written[0] == written[-1] == '"' and '"' not in written[1:-1]:
        return written[1:-1]
    return written


def of_inventory(variables: Mapping[str, Any], host: str = "") -> dict[str, Any]:
    """The variables of the host without extra variables. Empty if there is no host, as in serial.

    ``variables``: those that a lookup gets. ``host``: by default, the one of the lookup.
    """
    hostvars: Any = variables.get("hostvars")
    host = host or variables.get("inventory_hostname", "")
    manager = getattr(hostvars, "_variable_manager", None)
    if manager is None or not host:
        return {}
    # copy.copy would lose the loader, which the manager's __getstate__ leaves out.
    bare = object.__new__(type(manager))
    vars(bare).update(vars(manager), _extra_vars={})
    found = hostvars._inventory.get_host(host)
    return bare.get_vars(host=found, include_hostvars=False) if found is not None else {}


def _truth(name: str, value: Any) -> bool:
    try:
        return boolean(value)
    except TypeError:
        raise GivenError(f"{name} is {value!r}: it must be true or false.") from None


def _whole(name: str, value: Any) -> int:
    if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    raise GivenError(f"{name} is {value!r}: it must be a whole number.")


def _number(name: str, value: Any) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise GivenError(f"{name} is {value!r}: it must be a number.")
    return number


def _words(name: str, value: Any) -> list[str]:
    """A list of texts, also from a single text that contains them."""
    try:
        value = list_of_text(name, value)
    except ValueError as bad:
        raise GivenError(f"{bad}.") from None
    if not isinstance(value, (list, tuple)):
        raise GivenError(f"{name} is {value!r}: it must be a list.")
    return [text(name, word) for word in value if not is_blank(word)]
