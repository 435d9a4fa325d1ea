# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of plugins, checked as strictly as those of modules.

For a plugin, Ansible converts any unknown text to "false", so a typing error would disable the verification of
certificates. It converts an empty path to the current folder. Here an empty value means "not set", and an invalid
one is an error that names the option.
"""

from __future__ import annotations

import difflib
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
    mapping,
    number,
)

Definitions = Mapping[str, Mapping[str, Any]]

# ansible-core 2.18 passes this to the lookup of a loop (with_...), whose options do not contain it.
_OF_ANSIBLE = "wantlist"


class StrictOptions:
    """A base class for plugins, listed before Ansible's. ``set_options`` raises AnsibleOptionsError with a sentence."""

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
    """The direct options without empty ones, and the converted booleans, numbers and mappings of all sources.

    The sources, from the highest precedence to the lowest, are direct options, variables and the environment. Raises
    SettingsError for an option that does not exist, which Ansible would ignore, and for an invalid value, unless a
    source with a higher precedence overrides it.
    """
    given = dict(direct)
    for name in given:
        if name not in definitions and name != _OF_ANSIBLE:
            near = difflib.get_close_matches(str(name), definitions, n=1)
            raise SettingsError(f"{name} is not an option of this plugin{f' (but {near[0]} is)' if near else ''}")
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


_READERS: dict[str, Callable[[str, Any], Any]] = {
    "bool": boolean,
    "boolean": boolean,
    "int": lambda name, value: number(name, value, whole=True),
    "integer": lambda name, value: number(name, value, whole=True),
    "float": number,
    "dict": mapping,
    "dictionary": mapping,
}


def _own_variables(entry: Mapping[str, Any]) -> list[str]:
    """The environment variables of an option that belong to the collection."""
    return [row["name"] for row in entry.get("env") or [] if row["name"].startswith("FLEETOPS_")]


def _resolved(definitions: Definitions, variables: Mapping[str, Any], templar: Any) -> Mapping[str, Any]:
    """The variables of the options, without empty ones. Templates in them are evaluated if there is a templar."""
    names = {row["name"] for entry in definitions.values() for row in entry.get("vars") or []}
    found = {name: variables[name] for name in names if name in variables}
    if templar is not None:
        found = {name: templar.template(text) if templar.is_template(text) else text for name, text in found.items()}
    return {name: value for name, value in found.items() if not is_blank(value)}


@contextmanager
def _no_empty_variables(definitions: Definitions) -> Iterator[None]:
    """Remove the empty environment variables of these options for the block. Ansible would use them as values."""
    names = {name for entry in definitions.values() for name in _own_variables(entry)}
    empty = {name: os.environ.pop(name) for name in names if name in os.environ and is_blank(os.environ[name])}
    try:
        yield
    finally:
        os.environ.update(empty)
