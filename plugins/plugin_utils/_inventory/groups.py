# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The variables and groups that the user defines (compose, groups, keyed_groups). Missing values create no groups."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from itertools import islice
from typing import Any

from ansible.errors import AnsibleError, AnsibleParserError
from ansible.plugins.inventory import Constructable
from jinja2 import Environment, TemplateSyntaxError, nodes

from ansible_collections.fleetops.agents.plugins.module_utils._client.causes import causes_of

from .discovery import Instance
from .hosts import PREFIX

# A name and the keys below it that the expression reads: tags.owner is ("tags", "owner").
Path = tuple[str, ...]

# All variables that the plugin documents. One that was not read is unknown, so an expression with it is not an error.
_DOCUMENTED = {PREFIX + name: None for name in Instance._fields}


class ConstructedOfKnown(Constructable):
    """Ansible's variables and groups from expressions, except that a host may lack a value for an expression.

    The variable is then null, and the host joins no group. With ``strict``, any other failure is an error, as in all
    inventory plugins.
    """

    # The entry of keyed_groups that Ansible's method is working on.
    _keyed_entry: Any = None

    def _construct(self, names: Collection[str]) -> None:
        """Apply the options compose, groups and keyed_groups to the hosts. Raises AnsibleError."""
        compose, groups, keyed = (self.get_option(name) or () for name in ("compose", "groups", "keyed_groups"))
        # A mapping, because each name is looked up in it often.
        names = dict.fromkeys(names)
        for entry in keyed:
            # Such an entry fails for every host, which would not be an error without strict.
            if not isinstance(entry, Mapping) or not isinstance(entry.get("key"), str):
                raise AnsibleParserError(f"Each entry of keyed_groups must be a mapping with a key, unlike {entry!r}.")
        used = {
            path[0]
            for text in [*dict(compose).values(), *dict(groups).values(), *(entry["key"] for entry in keyed)]
            for path in paths_of(text)
        }
        read = self.inventory.get_host(next(iter(names))).get_vars()
        if unread := sorted(used & _DOCUMENTED.keys() - read.keys()):
            self.display.warning(
                f"The inventory's expressions read {', '.join(unread)}, which it has only with the option enrich."
            )
        for name in names if compose or groups or keyed else ():
            for variable in compose:
                one = {variable: compose[variable]}
                known = self._made(names, name, compose[variable], partial(self._set_composite_vars, one))
                if not known and self.get_option("strict"):
                    self.inventory.set_variable(name, variable, None)
            for group in groups:
                one = {group: groups[group]}
                self._made(names, name, groups[group], partial(self._add_host_to_composed_groups, one))
            for entry in keyed:
                self._keyed_entry = entry
                try:
                    self._made(names, name, entry["key"], partial(self._add_host_to_keyed_groups, [entry]))
                finally:
                    self._keyed_entry = None

    def _made(self, names: Mapping[str, None], name: str, expression: Any, how: Callable[..., None]) -> bool:
        """Whether ``how`` succeeded for the host. With ``strict``, raises its error unless the host lacks a value."""
        failure: AnsibleError | None = None
        known = len(self.inventory.groups)
        try:
            how(self.inventory.get_host(name).get_vars(), name, strict=True)
        except AnsibleError as error:
            failure = error
        for group in islice(reversed(self.inventory.groups), len(self.inventory.groups) - known):
            # Ansible would add this group to other groups in place of the host.
            if group in names:
                raise AnsibleParserError(f"groups or keyed_groups create the group {group}, but a host has this name.")
        if failure is not None:
            own = self.inventory.get_host(name).get_vars()
            of_all = [_DOCUMENTED, *(self.inventory.get_host(other).get_vars() for other in names)]
            # For example a filter that does not exist.
            is_invalid = any(isinstance(cause, TemplateSyntaxError) for cause in causes_of(failure))
            if self.get_option("strict") and (is_invalid or not lacks_a_value(expression, own, of_all)):
                raise failure
            return False
        return True

    def _compose(self, template: Any, *arguments: Any, **keywords: Any) -> Any:
        value = super()._compose(template, *arguments, **keywords)
        return value if self._keyed_entry is None else named_values(value, self._keyed_entry)


def lacks_a_value(expression: Any, own: Mapping[str, Any], of_all: Iterable[Mapping[str, Any]]) -> bool:
    """Whether the host with the variables ``own`` lacks a value that the expression reads.

    A value is lacking if it is null or an empty text, or if it is undefined but defined for another host. ``of_all``:
    the variables of all hosts. A name that is undefined for all hosts is a mistake in the expression.
    """
    read = [path for path in paths_of(expression) if not _has(path, own, empty_counts=False)]
    return any(_has(path, variables, empty_counts=True) for path in read for variables in of_all)


def paths_of(expression: Any) -> list[Path]:
    """The paths that the expression reads; empty if it is not a valid expression."""
    try:
        parsed = Environment(autoescape=True).parse("{{ (" + str(expression) + ") }}")
    except TemplateSyntaxError:
        return []
    paths = {_path(node) for kind in (nodes.Name, nodes.Getattr, nodes.Getitem) for node in parsed.find_all(kind)}
    return sorted(path for path in paths if path)


def _path(node: nodes.Node) -> Path:
    """The path of a name or of a key below it; () if the key is computed."""
    if isinstance(node, nodes.Name):
        return (node.name,)
    if isinstance(node, nodes.Getattr):
        key: Any = node.attr
    elif isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
        key = node.arg.value
    else:
        return ()
    above = _path(node.node)
    return (*above, key) if above and isinstance(key, str) else ()


def _has(path: Path, variables: Mapping[str, Any], *, empty_counts: bool) -> bool:
    """Whether there is a value at the path. With ``empty_counts``, null and an empty text count as values.

    An attribute of a value that is not a mapping, such as a method of a text, counts as a value.
    """
    value: Any = variables
    for key in path:
        if isinstance(value, Mapping):
            if key not in value:
                return False
            value = value[key]
        else:
            return not (value is None or value == "")
    return empty_counts or not (value is None or value == "")


def named_values(key: Any, entry: Mapping[str, Any]) -> Any:
    """The value of a ``keyed_groups`` entry without null and empty texts, also inside it, since these name no groups.

    Values for which the entry defines a name (``default_value``, ``trailing_separator``) are kept. For an empty list
    Ansible creates no group.
    """
    if entry.get("default_value") is not None:
        return key
    if isinstance(key, (list, tuple)):
        return [item for item in key if not (item is None or item == "")]
    if isinstance(key, Mapping):
        kept = "trailing_separator" in entry
        return {k: v for k, v in key.items() if not (v is None or v == "") or (kept and v is not None)}
    return [] if key is None or key == "" else key
