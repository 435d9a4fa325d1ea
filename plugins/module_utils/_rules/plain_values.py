# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Conversion of settings that arrive as text: from the environment, an inventory file or a variable. Pure.

An empty text means "not set". An invalid value is refused with a sentence that names the setting. It is never replaced
by a default.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

# The words that Ansible's modules accept as booleans.
_BOOLEANS = {
    **dict.fromkeys(("true", "yes", "on", "1", "t", "y"), True),
    **dict.fromkeys(("false", "no", "off", "0", "f", "n"), False),
}


# As seconds, 31 years. Larger numbers can exceed what Python can wait for or represent as a date.
_TOO_LARGE = 10**9


class SettingsError(ValueError):
    """A setting that cannot be used. The message says which one, and what it should be.

    ``setting``: the name of the setting at the beginning of the message if a caller may replace it by its own name for
    the setting, else empty. ``problem``: the message without this name.
    """

    def __init__(self, problem: str, *, setting: str = "") -> None:
        super().__init__(f"{setting} {problem}" if setting else problem)
        self.setting, self.problem = setting, problem


def is_blank(value: Any) -> bool:
    """Whether a value is None, or a text that is empty or consists of blanks."""
    return value is None or (isinstance(value, str) and not value.strip())


def list_of_text(name: str, value: Any) -> Any:
    """The list that a text contains, separated by commas or, as in the choices of a survey, by line breaks.

    A text that begins with ``[`` or ``{`` is read as JSON, whatever that contains. A value that is not a text is
    returned unchanged. ``name``: of the variable. Raises ValueError for invalid JSON.
    """
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith(("[", "{")):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            raise ValueError(f"{name} begins like JSON, but is not valid JSON") from None
    return [part.strip() for part in re.split(r"[,\n]", value) if part.strip()]


def mapping(name: str, value: Any) -> Mapping[str, Any]:
    """A mapping, from a mapping or its JSON text. Errors do not show the value, since headers may contain secrets.

    ``name`` is the option or the environment variable. Raises SettingsError.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = None
    if not isinstance(value, Mapping):
        raise SettingsError(f"{name} must be a mapping; in an environment variable, write it as JSON")
    return value


def boolean(name: str, value: Any) -> bool:
    """True or false from a boolean, from 1 or 0, or from a word such as ``yes``.

    ``name`` is the option or the environment variable. Raises SettingsError.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float)) and value in (0, 1):
        return bool(value)
    meant = _BOOLEANS.get(value.strip().lower()) if isinstance(value, str) else None
    if meant is None:
        raise SettingsError(f"{name} is {value!r}: it must be true or false{_no_template(value)}")
    return meant


def number(name: str, value: Any, *, least: float | None = None, whole: bool = False) -> float:
    """A finite number from a number or its text; with ``whole`` an int. ``least``: the smallest allowed number.

    ``name`` is the option or the environment variable. Raises SettingsError.
    """
    result = math.nan
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        with suppress(ValueError, OverflowError):
            result = float(value)
    unusable = not math.isfinite(result) or (least is not None and result < least)
    if unusable or (whole and result != int(result)):
        wanted = f"a {'whole ' if whole else ''}number" + ("" if least is None else f" of at least {least:g}")
        raise SettingsError(f"{name} is {value!r}: it must be {wanted}{_no_template(value)}")
    return int(result) if whole else result


def problem_of_number(name: str, value: Any) -> str:
    """Why a number cannot be the value of an option or a variable, judged by its ``name``; empty if it can.

    NaN, infinity and numbers beyond any time or count are refused. Ansible accepts them as a float, and no comparison
    is true for NaN, so it would switch off the limit that it stands for. With an interval of 0 seconds the server would
    be asked without a pause.
    """
    if not isinstance(value, (int, float)):
        return ""
    if not -_TOO_LARGE < value < _TOO_LARGE:
        return f"is {value}: it must be a number of at most 9 digits"
    if name.endswith("_interval") and not value > 0:
        return f"is {value}: it must be above 0 seconds"
    if name.endswith(("_timeout", "uncertain_grace", "healthy_reads")) and value < 0:
        return f"is {value}: it must be 0 or more"
    return ""


def _no_template(value: Any) -> str:
    return " (templates are not evaluated here)" if isinstance(value, str) and "{{" in value else ""
