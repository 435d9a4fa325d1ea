# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of plugins, read as strictly as those of modules.

Ansible takes each text that it does not know for "false", so a slip would switch the check of certificates off, and an
empty path for the current folder. Here an empty value means "not set", and what cannot be read is refused by name.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ansible import constants as C
from ansible.errors import AnsibleOptionsError

from ansible_collections.fleetops.agents.plugins.module_utils._rules.plain_values import (
    SettingsError,
    boolean,
    is_blank,
    number,
)

Definitions = Mapping[str, Mapping[str, Any]]


class StrictOptions:
    """A base class of plugins that stands before Ansible's own. Raises AnsibleOptionsError with a sentence."""

    def set_options(self, task_keys: Any = None, var_options: Any = None, direct: Any = None) -> None:
        definitions = C.config.get_configuration_definitions(plugin_type=self.plugin_type, name=self._load_name)
        variables = _resolved(definitions, var_options or {}, getattr(self, "_templar", None))
        try:
            given = read_options(definitions, direct or {}, variables, os.environ)
        except SettingsError as bad:
            raise AnsibleOptionsError(f"{bad}.") from None
        with _no_empty_variables(definitions):
            super().set_options(task_keys=task_keys, var_options=variables, direct=given)


def read_options(
    definitions: Definitions, direct: Mapping[str, Any], variables: Mapping[str, Any], environ: Mapping[str, str]
) -> dict[str, Any]:
    """What was given directly, without what is empty, and with booleans, numbers and mappings of every source read.

    The sources in Ansible's order: given directly, variables, the environment. Raises SettingsError for a value that
    does not fit its option; one that another source overrules is not looked at.
    """
    given = dict(direct)
    for name, entry in definitions.items():
        if is_blank(given.get(name)):
            given.pop(name, None)
        sources = [(name, given.get(name))]
        sources += [(row["name"], variables.get(row["name"])) for row in reversed(entry.get("vars") or [])]
        sources += [(variable, environ.get(variable)) for variable in reversed(_own_variables(entry))]
        label, value = next(((label, value) for label, value in sources if not is_blank(value)), (name, None))
        if value is None:
            if entry.get("required") and (own := _own_variables(entry)):
                raise SettingsError(f"{name} is not set: set it, or {own[0]} in the environment")
            continue
        if (read := _READERS.get(str(entry.get("type")))) is not None:
            given[name] = read(label, value)
        choices = entry.get("choices")
        if choices and entry.get("type") != "list" and value not in choices:
            raise SettingsError(f"{label} is {value!r}: it must be one of {', '.join(map(str, choices))}")
    return given


def _mapping(name: str, value: Any) -> Any:
    """From a mapping or its JSON text; the value is not shown, as headers may hold secrets."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = None
    if not isinstance(value, Mapping):
        raise SettingsError(f'{name} must be a mapping, as text in JSON, for example {{"X-Tenant": "blue"}}')
    return value


_READERS: dict[str, Callable[[str, Any], Any]] = {
    "bool": boolean,
    "boolean": boolean,
    "int": lambda name, value: number(name, value, whole=True),
    "integer": lambda name, value: number(name, value, whole=True),
    "float": number,
    "dict": _mapping,
    "dictionary": _mapping,
}


def _own_variables(entry: Mapping[str, Any]) -> list[str]:
    """The environment variables of an option that are the collection's."""
    return [row["name"] for row in entry.get("env") or [] if row["name"].startswith("FLEETOPS_")]


def _resolved(definitions: Definitions, variables: Mapping[str, Any], templar: Any) -> Mapping[str, Any]:
    """The variables of the options, with their templates run where there is a templar, and without empty ones."""
    names = {row["name"] for entry in definitions.values() for row in entry.get("vars") or []}
    found = {name: variables[name] for name in names if name in variables}
    if templar is not None:
        found = {name: templar.template(text) if templar.is_template(text) else text for name, text in found.items()}
    return {name: value for name, value in found.items() if not is_blank(value)}


@contextmanager
def _no_empty_variables(definitions: Definitions) -> Iterator[None]:
    """Without the empty environment variables of these options, which Ansible would take for values."""
    names = {name for entry in definitions.values() for name in _own_variables(entry)}
    empty = {name: os.environ.pop(name) for name in names if name in os.environ and is_blank(os.environ[name])}
    try:
        yield
    finally:
        os.environ.update(empty)
