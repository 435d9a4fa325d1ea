# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The metrics in the text format of Prometheus: of the fleets and their operations, and of the checks. Pure.

No label contains an id, a host name or a message: labels are tenants, fixed words, playbook names and runtime versions.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from console.monitoring.checks import FIGURES, Check
from console.outcomes.words import RUNNING, VERDICTS
from console.settings.environment import optional_package

if TYPE_CHECKING:
    from console.record.read.fleet import Fleet
    from console.record.read.operations import OperationTotals
    from console.record.read.record_health import Vitals

BUCKETS = (30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0, 14400.0, 43200.0, 86400.0)
"""Upper bounds of the histogram of durations, in seconds."""
MAX_VERSIONS = 30
"""The maximum number of runtime versions with their own series; those with the fewest instances share one."""

_NOT_READ = "not read"
_OTHER = "other"

Sample = tuple[tuple[str, ...], float]
"""The values of the labels, and the number."""
Gauge = Callable[[str, str, Sequence[str], Iterable[Sample]], Any]


def fleet_metrics(
    fleets: Sequence[Fleet],
    totals: Mapping[tuple[str, str], OperationTotals],
    *,
    backup_at: float | None,
    now: float,
) -> str:
    """The metrics of the fleets and of all operations. Raises SettingsError without the package prometheus_client."""
    library = optional_package("prometheus_client", "The metrics need")

    def gauge(name: str, help_text: str, labels: Sequence[str], samples: Iterable[Sample]) -> Any:
        family = library.metrics_core.GaugeMetricFamily(f"fleetops_{name}", help_text, labels=labels)
        for values, number in samples:
            family.add_metric(values, number)
        return family

    class Collector:
        def collect(self) -> Iterator[Any]:
            yield from _state_metrics(gauge, fleets)
            yield from _operation_metrics(gauge, library.metrics_core, totals)
            yield from _time_metrics(gauge, fleets, backup_at, now)

    registry = library.CollectorRegistry(auto_describe=False)
    registry.register(Collector())
    return str(library.generate_latest(registry).decode("utf-8"))


def check_metrics(checks: list[Check], vitals: Vitals | None, now: float) -> str:
    """The metrics of the checks, with times instead of ages, so that an age grows between two checks. They have no
    labels from the database, and need no package."""
    lines: list[str] = []

    def put(name: str, help_text: str, samples: list[tuple[str, float]]) -> None:
        lines.append(f"# HELP fleetops_console_{name} {help_text}")
        lines.append(f"# TYPE fleetops_console_{name} gauge")
        lines.extend(f"fleetops_console_{name}{labels} {value:.10g}" for labels, value in samples)

    put("check_level", "0 ok, 1 warning, 2 critical.", [(f'{{check="{c.name}"}}', float(c.level)) for c in checks])
    put("checked_timestamp_seconds", "When these figures were written.", [("", float(now))])
    if vitals is not None:
        for name, help_text, at in (
            ("api_read", "When the API was last read, for the tenant that was read longest ago.", vitals.api_at),
            ("run_logs_loaded", "When run logs were last loaded.", vitals.runs_at),
            ("oldest_open_target", "When the oldest open target was created.", vitals.oldest_open_at),
            ("last_backup", "When the database was last backed up.", vitals.backup_at),
        ):
            if at is not None:
                put(f"{name}_timestamp_seconds", help_text, [("", at)])
    figures = {figure.name: figure for figure in FIGURES if figure.unit != "seconds"}
    for check in checks:
        if check.name in figures and check.value is not None:
            unit, what = "_bytes" if figures[check.name].unit == "bytes" else "", figures[check.name].what
            put(check.name.replace("-", "_") + unit, f"{what[0].upper()}{what[1:]}.", [("", check.value)])
    return "\n".join(lines) + "\n"


def _state_metrics(gauge: Gauge, fleets: Sequence[Fleet]) -> Iterator[Any]:
    tenant = ("tenant",)
    health = (((f.tenant, word), n) for f in fleets for word, n in f.health.items() if word != _NOT_READ)
    yield gauge("instances", "Instances by their newest health check.", ("tenant", "health"), health)
    versions = {fleet.tenant: _by_version(fleet) for fleet in fleets}
    of_versions = (((name, version), n) for name, known in versions.items() for version, n in known.items())
    help_text = "Instances by the runtime version that they run."
    yield gauge("instances_runtime", help_text, ("tenant", "version"), of_versions)
    unread: list[Sample] = []
    for fleet in fleets:
        unread.append(((fleet.tenant, "health"), fleet.health[_NOT_READ]))
        unread.append(((fleet.tenant, "runtime"), fleet.instances - versions[fleet.tenant].total()))
        unread.append(((fleet.tenant, "updates"), fleet.instances - fleet.updates_read))
    yield gauge("instances_not_read", "Instances whose data was never read.", ("tenant", "what"), unread)
    published = (((f.tenant,), f.on_published) for f in fleets if f.published is not None and versions[f.tenant])
    yield gauge("instances_on_published_runtime", "Instances that run the published runtime.", tenant, published)
    updates = (((f.tenant, kind), n) for f in fleets if f.updates_read for kind, n in f.updates.items())
    yield gauge("instances_update_waiting", "Instances with a waiting update.", ("tenant", "kind"), updates)
    flight = (((f.tenant,), f.in_flight) for f in fleets)
    yield gauge("redeploys_in_flight", "Redeploys in progress on the server.", tenant, flight)
    limit = (((f.tenant,), f.limit) for f in fleets if f.limit is not None)
    yield gauge("redeploys_limit", "How many redeploys the policy allows at a time.", tenant, limit)
    window = (((f.tenant,), int(f.window.is_open)) for f in fleets if f.window is not None and f.window.is_known)
    yield gauge("maintenance_window_open", "1 while the maintenance window is open.", tenant, window)


def _by_version(fleet: Fleet) -> Counter[str]:
    found = Counter[str]()
    known = [(version, n) for version, n in fleet.versions if version is not None]
    for place, (version, n) in enumerate(known):
        found[version if place < MAX_VERSIONS else _OTHER] += n
    return found


def _operation_metrics(gauge: Gauge, families: Any, totals: Mapping[tuple[str, str], OperationTotals]) -> Iterator[Any]:
    labels = ("kind", "operation")
    ended = families.CounterMetricFamily(
        "fleetops_operations", "Operations that have ended, by verdict.", labels=(*labels, "verdict")
    )
    duration = families.HistogramMetricFamily(
        "fleetops_operation_duration_seconds", "Durations of operations, without check and lost runs.", labels=labels
    )
    known = sorted(totals.items())
    for key, found in known:
        # All verdicts from the first operation on: a series that begins at 1 has no increase.
        for verdict in VERDICTS:
            if verdict != RUNNING:
                ended.add_metric((*key, verdict), found.verdicts[verdict])
        if found.seconds:
            duration.add_metric(key, _buckets(found.seconds), sum(found.seconds))
    yield from (ended, duration)
    yield gauge("operations_running", "Operations in progress.", labels, ((key, found.running) for key, found in known))
    last = ((key, found.last_at) for key, found in known if found.last_at is not None)
    yield gauge("last_operation_timestamp_seconds", "When the newest operation ended.", labels, last)


def _buckets(seconds: Sequence[float]) -> list[tuple[str, float]]:
    ordered = sorted(seconds)
    return [*((f"{bound:g}", float(bisect_right(ordered, bound))) for bound in BUCKETS), ("+Inf", float(len(ordered)))]


def _time_metrics(gauge: Gauge, fleets: Sequence[Fleet], backup_at: float | None, now: float) -> Iterator[Any]:
    """Times instead of ages, so that an alert on an age also fires if the metrics are no longer written."""
    yield gauge("metrics_timestamp_seconds", "When these metrics were written.", (), [((), now)])
    api = (((fleet.tenant,), fleet.api_at) for fleet in fleets if fleet.api_at is not None)
    yield gauge("api_read_timestamp_seconds", "When the API was last read.", ("tenant",), api)
    logs = [((), fleet.runs_at) for fleet in fleets[:1] if fleet.runs_at is not None]
    yield gauge("run_logs_read_timestamp_seconds", "When run logs were last read.", (), logs)
    backup = [((), backup_at)] if backup_at is not None else []
    yield gauge("backup_timestamp_seconds", "When the database was last backed up.", (), backup)
