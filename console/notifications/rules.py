# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rules for notifications, read from a TOML file and checked. Pure.

The file refers to environment variables and never contains an address: addresses contain tokens and passwords.
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
_TOP_KEYS = ("console_url", "max_age", "quiet", "to", "rule")
_QUIET_KEYS = ("from", "until", "timezone")
_DESTINATION_KEYS = ("kind", "address_env", "secret_env", "ca_path")
_RULE_KEYS = ("name", "on", "to", "verdicts", "outcomes", "operations", "instances", "outside_window", "urgent")
_ONLY_FOR_OPERATIONS = ("verdicts", "outcomes", "operations", "instances")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class RulesError(ValueError):
    """The rules cannot be used. The message is one sentence for people, without the file's name."""


@dataclass(frozen=True)
class Destination:
    """Where messages are sent. kind: one of KINDS. address_env, secret_env: the environment variables with the address
    and, for a webhook, with the key of the signature. ca_path: the certificate authority of a webhook, '' for those
    that the system trusts."""

    name: str
    kind: str
    address_env: str
    secret_env: str = ""
    ca_path: str = ""


@dataclass(frozen=True)
class Rule:
    """Which facts are sent. An empty tuple selects all.

    on: subjects from facts.SUBJECTS. urgent: sent in quiet hours too. Only for operations: verdicts (empty: all except
    running and check), outcomes (at least one instance has one of them), operations and instances (patterns for names,
    such as "agent-00*"). outside_window: only changes of the policy that were found while the window was closed.
    """

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
    """The contents of the file. max_age: seconds; what happened longer ago is not sent. console_url: without
    a slash at the end, '' for no links."""

    destinations: Mapping[str, Destination]
    rules: tuple[Rule, ...]
    quiet: Quiet | None = None
    console_url: str = ""
    max_age: float = DAY

    @property
    def subjects(self) -> frozenset[str]:
        """The subjects that must be read from the database."""
        return frozenset(subject for rule in self.rules for subject in rule.on)


def parse(text: str) -> Rules:
    """Parse the text of a file. Raises RulesError."""
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise RulesError(f"it is not valid TOML: {error}") from None
    _check_keys(document, _TOP_KEYS, "the file")
    destinations = _destinations(document.get("to"))
    rules = _rules(document.get("rule"), destinations)
    quiet = _quiet(document["quiet"]) if "quiet" in document else None
    max_age = _age(document["max_age"]) if "max_age" in document else DAY
    if quiet is not None and max_age < _length(quiet):
        raise RulesError("max_age is shorter than the quiet hours, so what ends in them would never be sent")
    return Rules(destinations, rules, quiet, _console_url(document.get("console_url", "")), max_age)


def _destinations(found: Any) -> dict[str, Destination]:
    if not isinstance(found, dict) or not found:
        raise RulesError("it has no destinations; add one as [to.NAME] with kind and address_env")
    destinations = {}
    for name, table in found.items():
        place = f"[to.{name}]"
        if not _NAME.fullmatch(name):
            raise RulesError(f"{place}: the name may contain only letters, digits, dots, hyphens and underscores")
        if not isinstance(table, dict):
            raise RulesError(f"{place} must be a table")
        _check_keys(table, _DESTINATION_KEYS, place)
        kind = _one_of(table.get("kind"), KINDS, f"{place}: kind")
        address = _variable(table.get("address_env"), f"{place}: address_env")
        secret = _variable(table["secret_env"], f"{place}: secret_env") if "secret_env" in table else ""
        if secret and kind != WEBHOOK:
            raise RulesError(f"{place}: secret_env is only for webhooks, because only they are signed; remove it")
        if not secret and kind == WEBHOOK:
            raise RulesError(f"{place}: a webhook needs secret_env, the variable with the key of its signature")
        ca_path = table.get("ca_path", "")
        if not isinstance(ca_path, str) or (ca_path and kind != WEBHOOK):
            raise RulesError(f"{place}: ca_path is only for webhooks, and must be the path of a file")
        destinations[name] = Destination(name, kind, address, secret, ca_path)
    return destinations


def _variable(value: Any, place: str) -> str:
    if not isinstance(value, str) or not _VARIABLE.fullmatch(value):
        # The value is not shown, because it may be an address.
        raise RulesError(
            f"{place} must be the name of an environment variable, such as FLEETOPS_NOTIFY_CHAT, and not an address"
        )
    return value


def _rules(found: Any, destinations: Mapping[str, Destination]) -> tuple[Rule, ...]:
    if not isinstance(found, list) or not found:
        raise RulesError("it has no rules; add one as [[rule]] with on and to")
    rules = []
    for number, table in enumerate(found, 1):
        place = f"rule {number}"
        if not isinstance(table, dict):
            raise RulesError(f"{place} must be a table, written as [[rule]]")
        name = table.get("name", place)
        if not isinstance(name, str) or not name.strip():
            raise RulesError(f"{place}: name must be a non-blank string")
        place = place if name == place else f"{place} ({name})"
        _check_keys(table, _RULE_KEYS, place)
        on = _words(table, "on", place, SUBJECTS, required=True)
        rule = Rule(
            on=on,
            to=_words(table, "to", place, tuple(destinations), required=True),
            verdicts=_words(table, "verdicts", place, VERDICTS),
            outcomes=_words(table, "outcomes", place, CATEGORIES),
            operations=_words(table, "operations", place),
            instances=_words(table, "instances", place),
            outside_window=_boolean(table, "outside_window", place),
            urgent=_boolean(table, "urgent", place),
        )
        for key in _ONLY_FOR_OPERATIONS:
            if table.get(key) and on != (OPERATIONS,):
                raise RulesError(f'{place}: {key} is only for operations; add a rule with on = "{OPERATIONS}"')
        if rule.outside_window and on != (POLICY,):
            raise RulesError(f'{place}: outside_window is only for the policy; add a rule with on = "{POLICY}"')
        rules.append(rule)
    return tuple(rules)


def _words(
    table: Mapping[str, Any], key: str, place: str, known: Sequence[str] | None = None, *, required: bool = False
) -> tuple[str, ...]:
    """The value of a key that is a string or a list of strings."""
    found = table.get(key, [])
    words = [found] if isinstance(found, str) else found
    if not isinstance(words, list) or not all(isinstance(word, str) and word.strip() for word in words):
        raise RulesError(f"{place}: {key} must be a string or a list of strings")
    if key in table and not words:
        raise RulesError(f"{place}: {key} is empty; remove it to select all")
    if required and not words:
        raise RulesError(f"{place}: {key} is missing; possible values: {', '.join(known or ())}")
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
        found = f"{place} is missing" if value is None else f"{place} is {value!r}"
        close = difflib.get_close_matches(str(value), known, 1)
        meant = f" (did you mean {close[0]}?)" if close else ""
        raise RulesError(f"{found}; it must be one of: {', '.join(known)}{meant}")
    return str(value)


def _check_keys(table: Mapping[str, Any], known: Sequence[str], place: str) -> None:
    for key in table:
        if key not in known:
            raise RulesError(f"{place} has the unknown key {key!r}; known keys: {', '.join(known)}")


def _quiet(table: Any) -> Quiet:
    if not isinstance(table, dict):
        raise RulesError("[quiet] must be a table with from, until and timezone")
    _check_keys(table, _QUIET_KEYS, "[quiet]")
    start, until = (_clock(table.get(key), f"[quiet]: {key}") for key in ("from", "until"))
    if start == until:
        raise RulesError("[quiet]: from and until are the same; remove [quiet] to have no quiet hours")
    zone = table.get("timezone", "UTC")
    try:
        return Quiet(start, until, ZoneInfo(zone))
    except (KeyError, ValueError, TypeError, OSError):
        raise RulesError(
            f"[quiet]: timezone {zone!r} is not in the time zone database (example: Europe/Berlin)"
        ) from None


def _clock(value: Any, place: str) -> time:
    if isinstance(value, time):
        return value
    found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)", value) if isinstance(value, str) else None
    if found is None:
        raise RulesError(f'{place} must be a time of day such as "22:00"')
    return time(int(found[1]), int(found[2]))


def _length(quiet: Quiet) -> float:
    def seconds(at: time) -> float:
        return at.hour * 3600.0 + at.minute * 60.0 + at.second

    return (seconds(quiet.until) - seconds(quiet.start)) % DAY


def _age(value: Any) -> float:
    found = re.fullmatch(r"(\d{1,6})\s*(min|h|d)", value) if isinstance(value, str) else None
    age = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if not 0 < age <= LONGEST_AGE:
        raise RulesError('max_age must be a time of at most 7d, such as "90min", "24h" or "2d"')
    return age


def _console_url(value: Any) -> str:
    address = value.strip().rstrip("/") if isinstance(value, str) else None
    if address == "":
        return ""
    try:
        parts = urlsplit(address or "")
        more = parts.username or parts.password or parts.query or parts.fragment
        usable = parts.scheme in ("http", "https") and parts.hostname and not more
    except ValueError:
        usable = False
    if not usable:
        raise RulesError("console_url must be just the address of the console, such as https://console.example.com")
    return str(address)
