# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a fleet in one strip: health, versions, updates, redeploys in flight, window, the last day."""

from __future__ import annotations

from markupsafe import Markup

from console.outcomes.words import STATUSES
from console.record.read.fleet import Fleet
from console.record.read.policy import Frozen
from console.text import times
from console.text.counts import counted
from console.web import pages
from console.web.shared import viewer
from console.web.shared.markup import NOTHING, Segment, address, joined, legend, link, small, stacked_bar

VERSIONS_SHOWN = 4


def strip(fleet: Fleet, now: float, name: str = "", frozen: Frozen | None = None, *, last_day: bool = True) -> Markup:
    """One fleet; each number is a link to a list with what it counts. name: the tenant, if there are several.

    frozen: when changes are frozen. If None, the strip has only health, versions and updates, for a page that shows a
    list below it. last_day: whether it also counts the operations of all fleets.
    """
    title = Markup("<h2>{} {}</h2>").format(name, small(counted(fleet.instances, "instance"))) if name else NOTHING
    cells = [_health(fleet, name), _versions(fleet, name), _updates(fleet, name)]
    if frozen is not None:
        window, below = _window(fleet, frozen, now, name)
        cells += [
            _in_flight(fleet, name),
            _cell("Maintenance window", window, [], small(below)),
            _last_day(fleet, "Last 24 hours, all tenants" if name else "Last 24 hours") if last_day else NOTHING,
        ]
    return Markup('{}<div class="fo-strip">{}</div>').format(
        title, joined(Markup("<div>{}</div>").format(cell) for cell in cells)
    )


def _cell(title: str, figure: Markup | str, segments: list[Segment], *below: Markup) -> Markup:
    shown = [part for part in segments if part.count]
    what = ", ".join(f"{part.count:,} {part.word}" for part in shown) or "nothing"
    return Markup('{}<div class="fo-figure">{}</div>{}{}').format(
        small(title), figure, stacked_bar(segments, f"{title}: {what}") if shown else NOTHING, joined(below)
    )


def _instances(tenant: str, **filters: str) -> str:
    """The address of the list of instances. tenant: '' for all."""
    return address(pages.INSTANCES, instances_tenant=tenant, **filters)


def _health(fleet: Fleet, tenant: str) -> Markup:
    parts = [
        Segment(word.replace(" ", "_"), count, word, _instances(tenant, instances_health=word))
        for word, count in fleet.health.items()
    ]
    healthy = fleet.health.get("healthy", 0)
    if not fleet.instances:
        return _cell("Health", "no known instances", [])
    others = [part for part in parts if part.count and part.status != "healthy"]
    label = f"{healthy:,} of {fleet.instances:,} healthy"
    figure = link(label, pages.INSTANCES, instances_tenant=tenant, instances_health="healthy")
    return _cell("Health", figure, parts, legend(others))


def _versions(fleet: Fleet, tenant: str) -> Markup:
    title = f"Runtime, published {fleet.published}" if fleet.published else "Runtime"
    parts = []
    for place, (version, count) in enumerate(fleet.versions):
        status = "published" if version == fleet.published else "version" if place < VERSIONS_SHOWN else "older"
        if version is None:
            parts.append(Segment("not_read", count, "not read"))
        else:
            parts.append(Segment(status, count, f"on {version}", _instances(tenant, instances_runtime=version)))
    read = sum(count for version, count in fleet.versions if version is not None)
    if not read:
        return _cell(title, "not read", [], small("a sync with --updates reads it"))
    parts.sort(key=lambda part: (part.status == "not_read", part.status != "published"))
    if fleet.published is None:
        return _cell(title, "published version unknown", parts, legend(parts[:VERSIONS_SHOWN]))
    behind = read - fleet.on_published
    figure: Markup | str = f"{fleet.on_published:,} of {fleet.instances:,} up to date"
    notes: list[Markup | str] = []
    if behind:
        label = f"{behind:,} behind the published version"
        notes.append(link(label, pages.INSTANCES, instances_tenant=tenant, instances_only="Behind"))
    if fleet.published_others:
        others = ", ".join(f"{version} ({count:,})" for version, count, _host in fleet.published_others[:3])
        notes.append(f"other instances are offered {others}")
    return _cell(title, figure, parts, legend(parts[:VERSIONS_SHOWN]), small(joined(notes, " · ")))


def _updates(fleet: Fleet, tenant: str) -> Markup:
    if not fleet.updates_read:
        return _cell("Updates waiting", "not read", [], small("a sync with --updates reads them"))
    figures = [
        link(f"{count:,} {kind}", pages.INSTANCES, instances_tenant=tenant, instances_only=f"Update waiting: {kind}")
        for kind, count in fleet.updates.items()
        if count
    ]
    return _cell("Updates waiting", joined(figures, " · ") if figures else "none", [],
                 small(f"read for {counted(fleet.updates_read, 'instance')}"))  # fmt: skip


def _in_flight(fleet: Fleet, tenant: str) -> Markup:
    if fleet.limit is None:
        return _cell("Redeploys in flight", f"{fleet.in_flight:,}", [], small("no limit was read"))
    free = Segment("free", max(fleet.limit - fleet.in_flight, 0), "free")
    return _cell(
        "Redeploys in flight",
        link(f"{fleet.in_flight:,} of {fleet.limit:,}", pages.POLICY, tenant=tenant),
        [Segment("in_flight", fleet.in_flight, "in flight"), free],
        small(f"at most {fleet.limit:,} at once (policy)"),
    )


def _window(fleet: Fleet, frozen: Frozen, now: float, tenant: str) -> tuple[Markup | str, Markup | str]:
    if (ends := frozen.at(now)) is not None:
        label = f"frozen until {viewer.day_moment(ends.end)}"
        return link(label, pages.POLICY, tenant=tenant), ends.reason or "by fleetops_freezes"
    begins = frozen.next_after(now)
    following = f"frozen from {viewer.day_moment(begins.start)}" if begins is not None else ""
    window = fleet.window
    if window is None:
        return "not read", following
    if not window.is_known:
        return link("cannot be read", pages.POLICY, tenant=tenant), window.sentence
    change = window.closes_at if window.is_open else window.opens_at
    if change is None:
        return link("open all day" if window.is_open else "closed", pages.POLICY, tenant=tenant), following
    state = "open until" if window.is_open else "closed until"
    figure = link(f"{state} {viewer.moment(change, '%H:%M')}", pages.POLICY, tenant=tenant)
    return figure, joined((f"{times.rounded(change - now)} left", following), " · ")


def _last_day(fleet: Fleet, title: str) -> Markup:
    parts = [
        Segment(word, count, word, address(pages.OPERATIONS, operations_when="last 24 h", operations_status=word))
        for word in STATUSES
        if (count := fleet.operations.get(word, 0))
    ]  # fmt: skip
    total = sum(part.count for part in parts)
    figure = link(counted(total, "operation"), pages.OPERATIONS, operations_when="last 24 h")
    return _cell(title, figure if total else "no operations", parts, legend(parts))
