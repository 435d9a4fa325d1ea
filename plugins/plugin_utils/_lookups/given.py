# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a caller gave to a playbook or a role: a blank value is not given, the others get the type of their default."""

from __future__ import annotations

import math
import re
from datetime import date
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

_INTEGER = re.compile(r"[+-]?[0-9]+")
_SEPARATOR = re.compile(r"[,\n]")
_KINDS = (
    (bool, "a truth value"),
    (int, "a number"),
    (float, "a number"),
    (list, "a list"),
    (dict, "a mapping"),
    (date, "a date"),
)


class GivenError(ValueError):
    """A value that cannot be used; the message is a sentence that names the variable."""


def is_blank(value: Any) -> bool:
    """Whether nobody gave it: null, or the empty text of a survey's question without an answer."""
    return value is None or (isinstance(value, str) and not value.strip())


def typed(name: str, value: Any, default: Any) -> Any:
    """``value``, which is not blank, in the type of ``default``; with the default None as it is.

    Raises GivenError.
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
    """A text as it was written. Anything else is refused: 0012345 that was read as a number is another id."""
    if not isinstance(value, str):
        kind = next((word for kind, word in _KINDS if isinstance(value, kind)), f"a {type(value).__name__}")
        raise GivenError(
            f"{name} arrived as {kind} ({value}) and not as text, so it may differ from what was written. Write it in "
            f'quotes, {name}: "...". An answer to a survey is read anew by ansible-core 2.19 and newer: put the quotes '
            f'into the answer, too, such as "0012345".'
        )
    # The quotes of such an answer are no part of the text.
    if len(value) > 2 and value[0] == value[-1] == '"' and '"' not in value[1:-1]:
        return value[1:-1]
    return value


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
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise GivenError(f"{name} is {value!r}: it must be a number.")
    return number


def _words(name: str, value: Any) -> list[str]:
    """A list of texts, or one text with commas or, as a survey's choices come, lines."""
    if isinstance(value, str):
        value = [word.strip() for word in _SEPARATOR.split(value)]
    if not isinstance(value, (list, tuple)):
        raise GivenError(f"{name} is {value!r}: it must be a list.")
    return [text(name, word) for word in value if not is_blank(word)]
