# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of the event source, checked. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.fleetops.agents.plugins.module_utils._client.settings import Settings as Connection
from ansible_collections.fleetops.agents.plugins.module_utils._client.settings import headers_of
from ansible_collections.fleetops.agents.plugins.module_utils._rules.plain_values import (
    SettingsError,
    boolean,
    is_blank,
    number,
)

from .._inventory.hosts import Given, given_instances
from .errors import SourceError, as_sentence
from .events import DEFAULT_EVENTS, EVENTS

# The shortest pause in seconds.
SHORTEST_INTERVAL = 0.01


class Settings(NamedTuple):
    """The options of DOCUMENTATION, checked. Times are in seconds; ``max_rate`` is in calls a second."""

    api_url: str
    api_key: str
    validate_certs: bool
    ca_path: str | None
    request_timeout: float
    extra_headers: dict[str, str]
    max_rate: float
    interval: float
    instance_interval: float
    events: frozenset[str]
    start_from: str
    instances: dict[str, Given]
    live: bool
    unhealthy_after: int
    audit_outcomes: tuple[str, ...]
    watermark: Path

    def wants(self, *kinds: str) -> bool:
        return not self.events.isdisjoint(kinds)


def read_settings(args: Mapping[str, Any], environment: Mapping[str, str]) -> Settings:
    """The settings from the arguments in a rulebook, else from the environment. Raises SourceError with the option."""
    unknown = set(args) - set(Settings._fields) - {"feedback", "eda_feedback_queue"}
    if unknown:
        raise SourceError(
            f"There is no option {', '.join(sorted(unknown))}. The options are {', '.join(Settings._fields)}."
        )
    with as_source_error():
        return _Reader(args, environment).settings()


@contextmanager
def as_source_error() -> Iterator[None]:
    """Convert the ValueError of an invalid setting to SourceError."""
    try:
        yield
    except ValueError as problem:
        raise SourceError(as_sentence(problem)) from None


class _Reader:
    """Reads the options. An empty value of an option or a variable means "not set", as everywhere in the collection."""

    def __init__(self, args: Mapping[str, Any], environment: Mapping[str, str]) -> None:
        self._given = {name: value for name, value in args.items() if not is_blank(value)}
        self._environment = {name: value for name, value in environment.items() if value.strip()}

    def settings(self) -> Settings:
        kinds = self._words("events", DEFAULT_EVENTS)
        if unknown := sorted(set(kinds) - set(EVENTS)):
            raise SettingsError(f"events: there is no type {', '.join(unknown)}; the types are {', '.join(EVENTS)}")
        _name, start = self._value("start_from", "now")
        if start not in ("now", "earliest"):
            raise SettingsError(f"start_from is {start!r}: it must be now or earliest")
        connection = Connection(
            api_url=self._text("api_url", "", "FLEETOPS_API_URL"),
            api_key=self._text("api_key", "", "FLEETOPS_API_KEY"),
            validate_certs=self._boolean("validate_certs", True, "FLEETOPS_VALIDATE_CERTS"),
            ca_path=self._text("ca_path", None, "FLEETOPS_CA_PATH"),
            request_timeout=self._number("request_timeout", 30, "FLEETOPS_REQUEST_TIMEOUT"),
            headers=headers_of(*self._value("extra_headers", {}, "FLEETOPS_EXTRA_HEADERS")),
        )
        mark = self._text("watermark", "~/.local/state/fleetops/eda-watermark.json", "FLEETOPS_EDA_WATERMARK")
        return Settings(
            api_url=connection.api_url,
            api_key=connection.api_key,
            validate_certs=connection.validate_certs,
            ca_path=connection.ca_path,
            request_timeout=connection.request_timeout,
            extra_headers=dict(connection.headers),
            max_rate=self._number("max_rate", 10, least=SHORTEST_INTERVAL),
            interval=self._number("interval", 30, least=SHORTEST_INTERVAL),
            instance_interval=self._number("instance_interval", 60, least=SHORTEST_INTERVAL),
            events=frozenset(kinds),
            start_from=start,
            instances=given_instances(self._given.get("instances")),
            live=self._boolean("live", False),
            unhealthy_after=int(self._number("unhealthy_after", 1, least=1, whole=True)),
            audit_outcomes=self._words("audit_outcomes", ("error", "denied")),
            watermark=_as_path("watermark", mark),
        )

    def _value(self, name: str, default: Any, variable: str = "") -> tuple[str, Any]:
        """The name of the option or the environment variable that the value comes from, and the value."""
        if name in self._given or variable not in self._environment:
            return name, self._given.get(name, default)
        return variable, self._environment[variable]

    def _text(self, name: str, default: Any, variable: str) -> Any:
        _source, value = self._value(name, default, variable)
        if value is not None and not isinstance(value, str):
            kind = type(value).__name__
            raise SettingsError(f"{name} must be text, but YAML read it as {kind}: put it in quotes")
        return value

    def _number(
        self, name: str, default: float, variable: str = "", *, least: float | None = None, whole: bool = False
    ) -> float:
        source, value = self._value(name, default, variable)
        return number(source, value, least=least, whole=whole)

    def _boolean(self, name: str, default: bool, variable: str = "") -> bool:
        source, value = self._value(name, default, variable)
        return boolean(source, value)

    def _words(self, name: str, default: tuple[str, ...]) -> tuple[str, ...]:
        value = self._given.get(name, default)
        if not isinstance(value, (list, tuple)) or not all(isinstance(word, str) for word in value):
            raise SettingsError(f"{name} must be a list of words")
        return tuple(value)


def _as_path(name: str, text: str) -> Path:
    if "\0" in text:
        raise SettingsError(f"{name} is {text!r}: a path cannot have a null character")
    try:
        return Path(text).expanduser()
    except RuntimeError as problem:  # There is no such user, or no home directory.
        raise SettingsError(f"{name} is {text!r}: {problem}. Give an absolute path") from None


def inventory_problem(argv: list[str], environment: Mapping[str, str]) -> str | None:
    """Why the playbooks of ansible-rulebook would run without variables of its inventory, as a sentence, or None.

    For each playbook, ansible-rulebook copies the inventory to another folder. It copies a folder completely, but a
    file without the folders beside it. ``argv``: the command line of the process.
    """
    program = Path(argv[0]) if argv else Path()
    if not {"ansible-rulebook", "ansible_rulebook"} & {program.name, program.parent.name}:
        return None
    given = environment.get("ANSIBLE_INVENTORY", "")
    words = iter(argv[1:])
    for word in words:
        option, is_assigned, value = word.partition("=")
        # The argument parser also accepts abbreviations such as --inv, and combined options such as -vi.
        if option.startswith("--in") and "--inventory".startswith(option):
            given = value if is_assigned else next(words, "")
        elif (short := re.fullmatch(r"-v*i(.*)", word)) is not None:
            given = short[1] or next(words, "")
    file = Path(given)
    try:
        beside = [name for name in ("group_vars", "host_vars") if (file.parent / name).is_dir()]
        if not given or not file.is_file() or not beside:
            return None
    except OSError:  # A list of hosts can be longer than a file name may be.
        return None
    return (
        f"ansible-rulebook copies the inventory file {file} alone for its playbooks, without {' and '.join(beside)}"
        f" beside it, so they would run without your variables. Give the folder: -i {file.parent}"
    )
