# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rules of what is told to whom, read from a TOML file and checked. Pure.

The file names environment variables and never an address: addresses hold tokens and passwords.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import time
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from console.notifications.facts import OPERATIONS, POLICY, SUBJECTS
from console.outcomes.words import CATEGORIES, VERDICTS

APPRISE, WEBHOOK = "apprise", "webhook"
KINDS = (APPRISE, WEBHOOK)
DAY = 86400.0
LONGEST_AGE = 7 * DAY

_UNITS = {"min": 60.0, "h": 3600.0, "d": DAY}
_TOP = ("console_url", "max_age", "quiet", "to", "rule")
_OF_QUIET = ("from", "until", "timezone")
_OF_DESTINATION = ("kind", "address_env", "secret_env", "ca_path")
_OF_RULE = ("name", "on", "to", "verdicts", "outcomes", "operations", "instances", "outside_window", "urgent")
_ONLY_OF_OPERATIONS = ("verdicts", "outcomes", "operations", "instances")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class RulesError(ValueError):
    """The rules cannot be used. The message is one sentence for people, without the file's name."""


@dataclass(frozen=True)
class Destination:
    """Where messages go. kind: of KINDS. address_env, secret_env: the environment variables with the address and, of a
    webhook, the key of its signature ('' for none). ca_path: the authority that signed a webhook's certificate, '' for
    those that are known anyway."""

    name: str
    kind: str
    address_env: str
    secret_env: str = ""
    ca_path: str = ""


@dataclass(frozen=True)
class Rule:
    """Which facts are told. An empty tuple does not narrow.

    on: subjects, of facts.SUBJECTS. Of operations alone: verdicts (without any, all but running and check); outcomes:
    at least one instance has one of these; operations, instances: patterns of names, as "agent-00*". outside_window: of
    a change of the policy, only one that was seen while the maintenance window was closed. urgent: also in quiet hours.
    """

    name: str
    on: tuple[str, ...]
    to: tuple[str, ...]
    verdicts: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()
    instances: tuple[str, ...] = ()
    outside_window: bool = False
    urgent: bool = False


@dataclass(frozen=True)
class Quiet:
    """Hours of the day in which only urgent messages are sent; ``until`` is exclusive and may be past midnight."""

    start: time
    until: time
    zone: ZoneInfo


@dataclass(frozen=True)
class Rules:
    """All of the file. max_age: seconds; an operation that ended longer ago is not told. console_url: '' for no links,
    else without a slash at its end."""

    destinations: Mapping[str, Destination]
    rules: tuple[Rule, ...]
    quiet: Quiet | None = None
    console_url: str = ""
    max_age: float = DAY

    @property
    def subjects(self) -> frozenset[str]:
        """What has to be read from the record."""
        return frozenset(subject for rule in self.rules for subject in rule.on)


def parse(text: str) -> Rules:
    """The rules of a file's text. Raises RulesError."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RulesError(f"it is not valid TOML: {error}") from None
    _known(document, _TOP, "the file")
    destinations = _destinations(document.get("to"))
    rules = _rules(document.get("rule"), destinations)
    quiet = _quiet(document["quiet"]) if "quiet" in document else None
    max_age = _age(document["max_age"]) if "max_age" in document else DAY
    if quiet is not None and max_age < _length(quiet):
        raise RulesError("max_age is shorter than the quiet hours, so what ends in them would never be told")
    return Rules(destinations, rules, quiet, _console_url(document.get("console_url", "")), max_age)


def _destinations(found: Any) -> dict[str, Destination]:
    if not isinstance(found, dict) or not found:
        raise RulesError("it names no destination; write one as [to.NAME] with kind and address_env")
    destinations = {}
    for name, table in found.items():
        place = f"[to.{name}]"
        if not _NAME.fullmatch(name):
            raise RulesError(f"{place}: a destination's name has letters, digits, dots, hyphens and underscores only")
        if not isinstance(table, dict):
            raise RulesError(f"{place} must be a table")
        _known(table, _OF_DESTINATION, place)
        kind = _one_of(table.get("kind"), KINDS, f"{place}: kind")
        address = _variable(table.get("address_env"), f"{place}: address_env")
        secret = _variable(table["secret_env"], f"{place}: secret_env") if "secret_env" in table else ""
        if secret and kind != WEBHOOK:
            raise RulesError(f"{place}: only a webhook is signed; leave secret_env out")
        if not secret and kind == WEBHOOK:
            raise RulesError(f"{place}: a webhook is signed; name the variable that holds its key in secret_env")
        ca_path = table.get("ca_path", "")
        if not isinstance(ca_path, str) or (ca_path and kind != WEBHOOK):
            raise RulesError(f"{place}: ca_path is of a webhook alone, and must be the path of a file")
        destinations[name] = Destination(name, kind, address, secret, ca_path)
    return destinations


def _variable(value: Any, place: str) -> str:
    if not isinstance(value, str) or not _VARIABLE.fullmatch(value):
        # The value is not shown: it may be an address.
        raise RulesError(
            f"{place} must be the name of an environment variable, as FLEETOPS_NOTIFY_CHAT, and never an address"
        )
    return value


def _rules(found: Any, destinations: Mapping[str, Destination]) -> tuple[Rule, ...]:
    if not isinstance(found, list) or not found:
        raise RulesError("it has no rule; write one as [[rule]] with on and to")
    rules = []
    for number, table in enumerate(found, 1):
        place = f"rule {number}"
        if not isinstance(table, dict):
            raise RulesError(f"{place} must be a table, written as [[rule]]")
        name = table.get("name", place)
        if not isinstance(name, str) or not name.strip():
            raise RulesError(f"{place}: name must be a text")
        place = place if name == place else f"{place} ({name})"
        _known(table, _OF_RULE, place)
        on = _words(table, "on", place, SUBJECTS, needed=True)
        rule = Rule(
            name=name,
            on=on,
            to=_words(table, "to", place, tuple(destinations), needed=True),
            verdicts=_words(table, "verdicts", place, VERDICTS),
            outcomes=_words(table, "outcomes", place, CATEGORIES),
            operations=_words(table, "operations", place),
            instances=_words(table, "instances", place),
            outside_window=_boolean(table, "outside_window", place),
            urgent=_boolean(table, "urgent", place),
        )
        for key in _ONLY_OF_OPERATIONS:
            if table.get(key) and on != (OPERATIONS,):
                raise RulesError(f'{place}: {key} is of operations alone; give them a rule with on = "{OPERATIONS}"')
        if rule.outside_window and on != (POLICY,):
            raise RulesError(f'{place}: outside_window is of the policy alone; give it a rule with on = "{POLICY}"')
        rules.append(rule)
    return tuple(rules)


def _words(
    table: Mapping[str, Any], key: str, place: str, known: Sequence[str] | None = None, *, needed: bool = False
) -> tuple[str, ...]:
    """A text or a list of texts."""
    found = table.get(key, [])
    words = [found] if isinstance(found, str) else found
    if not isinstance(words, list) or not all(isinstance(word, str) and word.strip() for word in words):
        raise RulesError(f"{place}: {key} must be a text or a list of texts")
    if key in table and not words:
        raise RulesError(f"{place}: {key} is empty; leave it out if it is not to narrow the rule")
    if needed and not words:
        raise RulesError(f"{place}: {key} is missing; it must be of: {', '.join(known or ())}")
    for word in words:
        if known is not None:
            _one_of(word, known, f"{place}: {key}")
    return tuple(dict.fromkeys(words))


def _boolean(table: Mapping[str, Any], key: str, place: str) -> bool:
    value = table.get(key, False)
    if not isinstance(value, bool):
        raise RulesError(f"{place}: {key} must be true or false")
    return value


def _one_of(value: Any, known: Sequence[str], place: str) -> str:
    if value not in known:
        said = f"{place} is {value!r}" if isinstance(value, str) else f"{place} is missing" if value is None else place
        close = difflib.get_close_matches(str(value), known, 1)
        meant = f" (did you mean {close[0]}?)" if close else ""
        raise RulesError(f"{said}; it must be one of: {', '.join(known)}{meant}")
    return str(value)


def _known(table: Mapping[str, Any], known: Sequence[str], place: str) -> None:
    for key in table:
        if key not in known:
            raise RulesError(f"{place} has {key!r}, which is not known; known are: {', '.join(known)}")


def _quiet(table: Any) -> Quiet:
    if not isinstance(table, dict):
        raise RulesError("[quiet] must be a table with from, until and timezone")
    _known(table, _OF_QUIET, "[quiet]")
    start, until = (_clock(table.get(key), f"[quiet]: {key}") for key in ("from", "until"))
    if start == until:
        raise RulesError("[quiet]: from and until are the same; leave [quiet] out for no quiet hours")
    zone = table.get("timezone", "UTC")
    try:
        return Quiet(start, until, ZoneInfo(zone))
    except (KeyError, ValueError, TypeError, OSError):
        raise RulesError(f"[quiet]: timezone {zone!r} is not in the time zone database, as Europe/Berlin is") from None


def _clock(value: Any, place: str) -> time:
    if isinstance(value, time):
        return value
    found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)", value) if isinstance(value, str) else None
    if found is None:
        raise RulesError(f'{place} must be a time of the day, as "22:00"')
    return time(int(found[1]), int(found[2]))


def _length(quiet: Quiet) -> float:
    def seconds(at: time) -> float:
        return at.hour * 3600.0 + at.minute * 60.0 + at.second

    return (seconds(quiet.until) - seconds(quiet.start)) % DAY


def _age(value: Any) -> float:
    found = re.fullmatch(r"(\d{1,6})\s*(min|h|d)", value) if isinstance(value, str) else None
    age = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if not 0 < age <= LONGEST_AGE:
        raise RulesError('max_age must be a time of at most 7d, as "90min", "24h" or "2d"')
    return age


def _console_url(value: Any) -> str:
    address = value.strip().rstrip("/") if isinstance(value, str) else None
    if address == "":
        return ""
    try:
        parts = urlsplit(address or "")
        usable = parts.scheme in ("http", "https") and parts.hostname and not (parts.query or parts.fragment)
        secret = parts.username or parts.password
    except ValueError:
        usable = secret = None
    if not usable or secret:
        raise RulesError("console_url must be the address of the console, as https://console.example.com, and no more")
    return str(address)
