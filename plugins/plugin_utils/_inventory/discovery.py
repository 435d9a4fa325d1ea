# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The instances in the records of rollouts (E1, E3, E4), and what is missing in these records. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import (
    Record,
    count,
    is_single_target,
    parse_time,
    plain_text,
    records_in,
    target_status,
)
from ansible_collections.fleetops.agents.plugins.module_utils._rules.ids import id_key
from ansible_collections.fleetops.agents.plugins.module_utils._rules.record_words import counted


class Instance(NamedTuple):
    """One instance as the API reports it. The fields are named like the host variables, without their prefix.

    Status, result, bundle, rollout and time are those of the instance's newest target. The last five fields are known
    only with the option ``enrich``.
    """

    instance_id: str
    hostname: str | None = None
    status: str | None = None
    last_result: str | None = None
    bundle_hash: str | None = None
    last_rollout_id: str | None = None
    last_completed_at: str | None = None
    update_available: bool | None = None
    runtime_version: str | None = None
    available_version: str | None = None
    health: str | None = None
    gone: bool | None = None


@dataclass(frozen=True)
class RolloutReading:
    """One rollout as it was read: its row of E3, its timeline (E1) and its targets (E4), None where a call failed."""

    row: Record
    timeline: Record | None
    targets: Record | None


@dataclass(frozen=True)
class Choice:
    """Which rollouts to read, newest first, and a phrase for each problem."""

    rollouts: list[Record] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def choose_rollouts(rows: Sequence[Record], *, fleet: int, single: int) -> Choice:
    """The newest rollouts in E3's rows: ``fleet`` fleet rollouts, and ``single`` rollouts of single instances.

    They are counted separately, because after a rolling redeploy all of the newest rows are single ones.
    """
    newest = sorted(rows, key=_created, reverse=True)
    problems = []
    usable = [row for row in newest if plain_text(row.get("id"))]
    if len(usable) < len(newest):
        problems.append(f"{counted(len(newest) - len(usable), 'rollout')} in the list without an id")
    singles = [row for row in usable if is_single_target(row)]
    fleets = [row for row in usable if not is_single_target(row)]
    if not fleets and len(singles) > single:
        problems.append(
            f"there is no fleet rollout in the history, and only {single} of {counted(len(singles), 'rollout')} of "
            "single instances were to be read (raise instance_rollouts, or name the instances under instances:)"
        )
    chosen = fleets[:fleet] + singles[:single]
    return Choice(sorted(chosen, key=_created, reverse=True), problems)


def instances_of(readings: Iterable[RolloutReading]) -> tuple[list[Instance], list[str]]:
    """The instances in the rollouts, sorted by id, and a phrase for each missing or contradictory record.

    The status of an instance is that of its newest target. Its host name and bundle hash are those of the newest target
    that has them. ``readings``: newest first. Where times are missing, this order decides.
    """
    sightings: dict[str, list[_Sighting]] = {}
    problems: list[str] = []
    for order, reading in enumerate(readings):
        found, missing = _sightings(reading, order)
        problems += missing
        for sighting in found:
            sightings.setdefault(id_key(sighting.instance_id), []).append(sighting)
    instances = [_instance(of_one) for of_one in sightings.values()]
    return sorted(instances, key=lambda instance: instance.instance_id), problems


class _Sighting(NamedTuple):
    """One target row: when it was created, how new its rollout is, and what it says."""

    instance_id: str
    newness: tuple[float, int]
    rollout_id: str
    hostname: str | None
    status: str | None
    last_result: str | None
    bundle_hash: str | None
    completed_at: str | None


def _sightings(reading: RolloutReading, order: int) -> tuple[list[_Sighting], list[str]]:
    rollout_id = str(reading.row.get("id"))
    timeline = records_in((reading.timeline or {}).get("timeline"))
    targets = records_in((reading.targets or {}).get("targets"))
    problems = _too_few(reading, rollout_id, len(timeline), len(targets))

    by_target = {_key(row.get("id")): row for row in targets}
    seen: set[str | None] = set()
    pairs: list[tuple[Record, Record]] = []
    for row in timeline:
        target_id = _key(row.get("target_id"))
        seen.add(target_id)
        pairs.append((row, by_target.get(target_id, {}) if target_id else {}))
    pairs += [({}, row) for row in targets if _key(row.get("id")) not in seen or not _key(row.get("id"))]

    sightings: list[_Sighting] = []
    names: dict[str, str] = {}
    for row, target in pairs:
        # If E1 and E4 spell the id differently, E4 decides.
        of_row, of_target = plain_text(row.get("instance_id")), plain_text(target.get("instance_id"))
        instance_id = of_target or of_row
        target_id = plain_text(row.get("target_id")) or plain_text(target.get("id")) or "without an id"
        if instance_id is None:
            problems.append(f"rollout {rollout_id}: target {target_id} names no instance")
            continue
        if of_row and _key(of_row) != _key(instance_id):
            problems.append(
                f"rollout {rollout_id}: target {target_id} belongs to two instances, {of_row} and {of_target}"
            )
        hostname = plain_text(row.get("instance_hostname"))
        first = names.setdefault(id_key(instance_id), hostname) if hostname else None
        if first != hostname:
            problems.append(f"rollout {rollout_id}: instance {instance_id} has two names, {first} and {hostname}")
        sightings.append(_sighting(reading.row, rollout_id, order, instance_id, hostname, row, target))
    return sightings, problems


def _sighting(
    rollout: Record, rollout_id: str, order: int, instance_id: str, hostname: str | None, row: Record, target: Record
) -> _Sighting:
    created = parse_time(row.get("created_at")) or parse_time(target.get("created_at")) or _created(rollout)
    status = target_status(row.get("status") or target.get("status"))
    result = target_status(row.get("last_result_status") or target.get("last_result_status"))
    return _Sighting(
        instance_id=instance_id,
        newness=(created, -order),
        rollout_id=rollout_id,
        hostname=hostname,
        status=status or None,
        last_result=result or None,
        bundle_hash=plain_text(target.get("bundle_hash")),
        completed_at=plain_text(row.get("completed_at")) or plain_text(target.get("completed_at")),
    )


def _too_few(reading: RolloutReading, rollout_id: str, timeline: int, targets: int) -> list[str]:
    """A phrase for each answer that has fewer targets than the rollout's total."""
    records = [reading.row, reading.timeline or {}, (reading.targets or {}).get("rollout") or {}]
    total = max(count(record.get("total_targets")) for record in records)
    problems = []
    if reading.timeline is not None and timeline < total:
        problems.append(f"rollout {rollout_id}: its timeline has {timeline} of {counted(total, 'target')}")
    if reading.targets is not None and targets < total:
        problems.append(f"rollout {rollout_id}: the server gave {targets} of its {counted(total, 'target')}")
    return problems


def _instance(sightings: list[_Sighting]) -> Instance:
    """One instance from all of its sightings. The id has the spelling of the newest one."""
    newest_first = sorted(sightings, key=lambda sighting: sighting.newness, reverse=True)
    newest = newest_first[0]
    return Instance(
        instance_id=newest.instance_id,
        hostname=next((s.hostname for s in newest_first if s.hostname), None),
        status=newest.status,
        last_result=newest.last_result,
        bundle_hash=next((s.bundle_hash for s in newest_first if s.bundle_hash), None),
        last_rollout_id=newest.rollout_id,
        last_completed_at=newest.completed_at,
    )


def _created(record: Mapping[str, Any]) -> float:
    created = parse_time(record.get("created_at"))
    return created if created is not None else float("-inf")


def _key(value: Any) -> str | None:
    """The key by which an id is compared, or None."""
    text = plain_text(value)
    return None if text is None else id_key(text)
