# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""In which order a run takes the instances of a plan, and which ones it leaves for a later run. Pure functions.

A run consists of these parts, in this order: the canary hosts, the waves, the rest, the busy instances, and those in
quarantine, each of which has a batch of its own. The order rule applies within each part.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .answers import Record, amount, known_count, normalise, parse_time, target_is_terminal, target_status
from .batches import Member, Part
from .durations import Usual, duration
from .plain_values import boolean, is_blank
from .redeploy import newest_first

ORDERS = ("name", "inventory", "sickest", "slowest_first", "random")
SCOPES = ("run", "at_once")
# The keys of a wave's ``gate``: settings of the gate after each of its batches.
GATE_KEYS = (
    "max_failed",
    "min_healthy_share",
    "soak_reads",
    "audit",
    "audit_max_difference",
    "audit_min_events",
)
_SHARES = ("min_healthy_share", "audit_max_difference")
_WAVE_KEYS = ("name", "hosts", "limit", "soak", "gate")
_HEALTH = {"healthy": 2, "degraded": 1}
CANARY, BUSY, QUARANTINE = "canary", "busy", "quarantine"


@dataclass(frozen=True)
class Wave:
    """Some hosts of a run. ``limit``: the maximum size of its batches. ``soak``: seconds of soak after each batch.

    ``gate``: options of rollout_gate for the gate after each batch.
    """

    name: str
    hosts: tuple[str, ...]
    limit: int | None = None
    soak: float | None = None
    gate: Mapping[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> Record:
        """The options of rollout_gate, including the soak, for the gate after each of its batches."""
        return {**self.gate, **({} if self.soak is None else {"soak": self.soak})}


@dataclass(frozen=True)
class Rules:
    """The rules for the order of a plan and for its share of the fleet.

    ``order`` and ``seed``: see order_of. ``most``: the share, a number or a percentage as text. It applies to each
    group in ``groups`` (host name to group), either in the whole run or in a batch (``scope``). ``quarantine``: after
    how many consecutive failures an instance is in quarantine. ``defer_busy``: for how many seconds after a
    conversation an instance is busy. 0 disables these two.
    """

    order: str = "name"
    seed: str = ""
    canary_hosts: tuple[str, ...] | None = None
    waves: tuple[Wave, ...] = ()
    most: str = ""
    scope: str = "run"
    groups: Mapping[str, str] = field(default_factory=dict)
    quarantine: int = 0
    defer_busy: float = 0.0

    @property
    def hashed(self) -> Record:
        """The rules for the plan's hash, as they were given. The order that results from them now is not part of it."""
        waves = [[wave.name, sorted(wave.hosts), wave.limit, wave.settings] for wave in self.waves]
        rules = {
            "order": "" if self.order == "name" else self.order,
            "seed": self.seed,
            "canary_hosts": sorted(self.canary_hosts or ()),
            "waves": waves,
            "max_share": [self.most, self.scope, sorted(self.groups.items())] if self.most else "",
            "quarantine": self.quarantine,
            "defer_busy": self.defer_busy,
        }
        return {name: value for name, value in rules.items() if value}


@dataclass(frozen=True)
class Facts:
    """The data that the rules use, by the names of the instances. Data that no rule needs may be missing.

    ``inventory``: names in the order of the inventory. ``health``: statuses. ``past``: the seconds of past redeploys,
    by id_key. ``busy``: why an instance counts as busy. ``failing``: the names of the instances in quarantine.
    """

    inventory: Sequence[str] = ()
    health: Mapping[str, str | None] = field(default_factory=dict)
    past: Mapping[str, Sequence[float]] = field(default_factory=dict)
    busy: Mapping[str, str] = field(default_factory=dict)
    failing: frozenset[str] = frozenset()


NO_RULES, NO_FACTS = Rules(), Facts()


def order_of(text: str) -> tuple[str, str]:
    """The rule and its seed in ``fleetops_order``. Raises ValueError with a sentence, without the full stop."""
    match = re.fullmatch(r"random\((.+)\)", text.strip())
    if match:
        return "random", match[1].strip()
    if text == "random":
        raise ValueError("order is random without a seed, so the plan could not be repeated. Write random(7)")
    if text not in ORDERS:
        raise ValueError(f"order is {text!r}; it must be name, inventory, sickest, slowest_first or random(seed)")
    return text, ""


def share_of(text: str, group: int) -> int:
    """The number of instances in a share: ``text`` is a number, or a percentage of ``group`` instances.

    A percentage is rounded down, but to at least 1. Raises ValueError.
    """
    match = re.fullmatch(r"([0-9]+)\s*(%?)", text.strip())
    number = int(match[1]) if match else 0
    if match is None or number < 1 or (match[2] and number > 100):
        raise ValueError(f"max_share is {text!r}; it must be a number of 1 or more, or from 1% to 100%")
    return max(1, group * number // 100) if match[2] else number


def waves_of(given: Any, hosts_of: Callable[[str], Iterable[str]] | None = None) -> list[Wave]:
    """The waves in a list of mappings or patterns. Raises ValueError.

    ``hosts`` of a mapping are names, or a pattern. ``hosts_of(pattern)`` returns the names that match a pattern, which
    may also be names separated by commas.
    """
    if not isinstance(given, (list, tuple)):
        raise ValueError(f"waves must be a list of patterns or mappings, not {given!r}")
    found = [_wave(number, entry, hosts_of) for number, entry in enumerate(given, 1)]
    twice = [name for name, times in Counter(wave.name for wave in found).items() if times > 1]
    if twice:
        raise ValueError(f"two waves have the name {twice[0]}")
    return found


def _wave(number: int, entry: Any, hosts_of: Callable[[str], Iterable[str]] | None) -> Wave:
    if isinstance(entry, str):
        entry = {"hosts": entry}
    if not isinstance(entry, Mapping):
        raise ValueError(f"wave {number} is {entry!r}; it must be a pattern, or a mapping with hosts")
    hosts = entry.get("hosts")
    pattern = hosts.strip() if isinstance(hosts, str) else ""
    name = str(entry.get("name") or pattern or number)
    unknown = sorted(str(key) for key in entry if key not in _WAVE_KEYS)
    if unknown:
        raise ValueError(f"wave {name} has the unknown key {', '.join(unknown)}; it may have {', '.join(_WAVE_KEYS)}")
    if pattern and hosts_of is not None:
        names = tuple(hosts_of(pattern))
    elif isinstance(hosts, (list, tuple)):
        names = tuple(map(str, hosts))
        if names and hosts_of is not None:
            names = tuple(hosts_of(",".join(names)))
    else:
        raise ValueError(f"wave {name} names no hosts")
    limit, soak = known_count(entry.get("limit")), amount(entry.get("soak"))
    if not is_blank(entry.get("limit")) and not limit:
        raise ValueError(f"the limit of wave {name} is {entry['limit']!r}; it must be a whole number of 1 or more")
    if not is_blank(entry.get("soak")) and soak is None:
        raise ValueError(f"the soak of wave {name} is {entry['soak']!r}; it must be a number of seconds, 0 or more")
    return Wave(name, names, limit, soak, _gate(name, entry.get("gate") or {}))


def refusal_of(
    rules: Rules,
    *,
    canary: int,
    canary_asked: bool,
    scope_asked: bool,
    of_redeploys: bool,
    soak: float,
) -> str:
    """Why the rules cannot be used together, as a phrase; empty if they can.

    ``canary``: the number of canaries. ``canary_asked``, ``scope_asked``: whether canary hosts and a scope were given.
    ``of_redeploys``: whether the run redeploys instances. ``soak``: the soak (seconds) of waves without their own.
    """
    if canary_asked and canary == 0:
        return "canary is 0, which means no canary, but canary_hosts is given"
    without_soak = [w.name for w in rules.waves if w.gate.get("audit") and not (soak if w.soak is None else w.soak)]
    if without_soak:
        return f"the audit of wave {without_soak[0]} needs a soak, and this wave has none"
    if not rules.most and (scope_asked or rules.groups):
        return "share_scope and share_by apply to max_share, which is not given"
    if not of_redeploys and rules.order == "slowest_first":
        return "order slowest_first looks at past redeploys, and this run does not redeploy"
    if not of_redeploys and rules.quarantine:
        return "quarantine looks at past redeploys, and this run does not redeploy"
    return ""


def options_of(rules: Rules) -> Record:
    """The rules as options for pace.refusal_of. ``waves`` has the names of the waves with their own settings."""
    return {
        "waves": tuple(wave.name for wave in rules.waves if wave.limit is not None or wave.settings),
        "share_scope": rules.scope if rules.most else "",
        "quarantine": rules.quarantine,
        "defer_busy": rules.defer_busy,
    }


def _gate(name: str, given: Any) -> Record:
    """The settings of a wave's gate, with the types of the options of rollout_gate. Raises ValueError."""
    if not isinstance(given, Mapping):
        raise ValueError(f"the gate of wave {name} is {given!r}; it must be a mapping")
    unknown = sorted(str(key) for key in given if key not in GATE_KEYS)
    if unknown:
        raise ValueError(
            f"the gate of wave {name} has the unknown key {', '.join(unknown)}; it may have {', '.join(GATE_KEYS)}"
        )
    found: Record = {}
    for key, value in given.items():
        if key == "audit":
            found[key] = boolean(f"audit of wave {name}", value)
            continue
        found[key] = amount(value) if key in _SHARES else known_count(value)
        if found[key] is None or (key in _SHARES and found[key] > 1):
            wanted = "from 0 to 1" if key in _SHARES else "a whole number of 0 or more"
            raise ValueError(f"{key} of wave {name} is {value!r}; it must be {wanted}")
    return found


def sequence(members: Sequence[Member], rules: Rules, facts: Facts) -> tuple[list[Part], dict[str, str]]:
    """The parts of a run, and the names of the members that are left for a later run, with the reasons.

    ``members``: all members, in order of their names. Raises ValueError for an invalid share.
    """
    planned = _ordered([member for member in members if member.planned], rules, facts)
    last = [member for member in planned if member.name in facts.failing]
    busy = [member for member in planned if member.name in facts.busy and member.name not in facts.failing]
    apart = {member.name for member in [*last, *busy]}
    todo = [member for member in planned if member.name not in apart]
    parts = []
    if rules.canary_hosts:
        inside, todo = _split(todo, rules.canary_hosts)
        parts.append(Part(CANARY, inside))
    for wave in rules.waves:
        inside, todo = _split(todo, wave.hosts)
        parts.append(Part(wave.name, inside, limit=wave.limit, soak=wave.soak, settings=wave.settings))
    parts.append(Part("the rest" if rules.waves else "", todo))
    parts.append(Part(BUSY, busy))
    parts += [Part(QUARANTINE, [member], limit=1) for member in last]
    return _within_share([part for part in parts if part.members], members, rules)


def _split(members: Iterable[Member], names: Iterable[str]) -> tuple[list[Member], list[Member]]:
    """The members whose names are among ``names``, and the others."""
    named = set(names)
    inside: list[Member] = []
    outside: list[Member] = []
    for member in members:
        (inside if member.name in named else outside).append(member)
    return inside, outside


def _ordered(members: Sequence[Member], rules: Rules, facts: Facts) -> list[Member]:
    if rules.order == "inventory":
        position = {name: number for number, name in enumerate(facts.inventory)}
        return sorted(members, key=lambda member: position.get(member.name, len(position)))
    if rules.order == "sickest":
        return sorted(members, key=lambda member: _HEALTH.get(normalise(facts.health.get(member.name)), 0))
    if rules.order == "slowest_first":
        usual = Usual(facts.past, 0.0)
        return sorted(members, key=lambda member: -usual.of(member.instance_id, 50))
    if rules.order == "random":
        # By the name, not the position, so that adding or removing an instance does not reorder the others.
        return sorted(members, key=lambda member: hashlib.sha256(f"{rules.seed}:{member.name}".encode()).digest())
    return list(members)


def caps_of(members: Iterable[Member], rules: Rules) -> dict[str, int]:
    """The number of instances in the share of each group; empty if there is no share."""
    if not rules.most:
        return {}
    sizes = Counter(rules.groups.get(member.name, "") for member in members)
    return {group: share_of(rules.most, size) for group, size in sizes.items()}


def _within_share(parts: list[Part], members: Sequence[Member], rules: Rules) -> tuple[list[Part], dict[str, str]]:
    """The parts without the members that exceed the share of the run, and the reasons for those by name."""
    caps = caps_of(members, rules) if rules.scope == "run" else {}
    if not caps:
        return parts, {}
    taken: Counter[str] = Counter()
    left: dict[str, str] = {}
    for part in parts:
        candidates, part.members = part.members, []
        for member in candidates:
            group = rules.groups.get(member.name, "")
            if taken[group] < caps[group]:
                taken[group] += 1
                part.members.append(member)
                continue
            left[member.name] = f"at most {caps[group]} of {group or 'the fleet'} in one run (max_share {rules.most})"
    return [part for part in parts if part.members], left


def newest_conversation(events: Iterable[Mapping[str, Any]]) -> float | None:
    """When the newest audit event (E20) of a conversation happened, in epoch seconds; None if there is none."""
    times = [parse_time(event.get("event_ts")) for event in events if event.get("conversation_id")]
    return max((at for at in times if at is not None), default=None)


def why_busy(events: Sequence[Mapping[str, Any]] | None, now: float, within: float, most: int | None = None) -> str:
    """Why an instance counts as busy, as a phrase; an empty text if it does not.

    ``events``: its newest audit events, None if they cannot be read. ``now``: epoch seconds. ``within``: for how many
    seconds after a conversation it is busy. ``most``: how many events were requested. If there are that many, all
    within that time and none from a conversation, an older one may be from one, so the instance counts as busy.
    """
    if events is None:
        return "its audit cannot be read"
    newest = newest_conversation(events)
    if newest is None and most is not None and len(events) >= most:
        times = [at for event in events if (at := parse_time(event.get("event_ts"))) is not None]
        if not times or now - min(times) < within:
            return f"none of its {most} newest audit events is from a conversation, but older ones may be"
    if newest is None or now - newest >= within:
        return ""
    return f"its newest conversation was {duration(max(0.0, now - newest))} ago"


def is_failing(history: Iterable[Mapping[str, Any]], rows: int) -> bool:
    """Whether the newest ``rows`` targets of the history (E23) that have ended have all failed."""
    ended = [row for row in newest_first(history) if target_is_terminal(row)][:rows]
    return len(ended) == rows and all(target_status(row.get("status")) == "failed" for row in ended)
