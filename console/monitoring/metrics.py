# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The metrics in the text format of Prometheus: of the fleets and their operations, and of the checks. Pure.

No label contains an id, a host name or a message: labels are tenants, fixed words, playbook names and runtime versions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
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
VERSIONS_MOST = 30
"""The maximum number of runtime versions with their own series; those with the fewest instances share one."""

_NOT_READ = "not read"
_OTHER = "other"


def fleet_metrics(
    fleets: Sequence[Fleet],
    totals: Mapping[tuple[str, str], OperationTotals],
    *,
    backup_at: float | None,
    now: float,
) -> str:
    """The metrics of the fleets and of all operations. Raises SettingsError without the package prometheus_client."""
    library = optional_package("prometheus_client", "The metrics need")
    registry = library.CollectorRegistry(auto_describe=False)

    class Collector:
        def collect(self) -> Iterator[Any]:
            yield from _state_metrics(library, fleets)
            yield from _operation_metrics(library, totals)
            yield from _time_metrics(library, fleets, backup_at, now)

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


def _state_metrics(library: Any, fleets: Sequence[Fleet]) -> Iterator[Any]:
    gauge = _gauges(library)
    health = gauge("instances", "Instances by their newest health check.", "tenant", "health")
    versions = gauge("instances_runtime", "Instances by the runtime version that they run.", "tenant", "version")
    unread = gauge("instances_not_read", "Instances whose data was never read.", "tenant", "what")
    published = gauge("instances_on_published_runtime", "Instances that run the published runtime.", "tenant")
    updates = gauge("instances_update_waiting", "Instances with a waiting update.", "tenant", "kind")
    flight = gauge("redeploys_in_flight", "Redeploys in progress on the server.", "tenant")
    limit = gauge("redeploys_limit", "How many redeploys the policy allows at a time.", "tenant")
    window = gauge("maintenance_window_open", "1 while the maintenance window is open.", "tenant")
    for fleet in fleets:
        name = fleet.tenant
        for word, n in fleet.health.items():
            if word == _NOT_READ:
                unread.add_metric([name, "health"], n)
            else:
                health.add_metric([name, word], n)
        known = [(version, n) for version, n in fleet.versions if version is not None]
        series = Counter[str]()
        for place, (version, n) in enumerate(known):
            series[version if place < VERSIONS_MOST else _OTHER] += n
        for version, n in series.items():
            versions.add_metric([name, version], n)
        unread.add_metric([name, "runtime"], fleet.instances - sum(n for _version, n in known))
        unread.add_metric([name, "updates"], fleet.instances - fleet.updates_read)
        if fleet.published is not None and known:
            published.add_metric([name], fleet.on_published)
        for kind, n in fleet.updates.items() if fleet.updates_read else ():
            updates.add_metric([name, kind], n)
        flight.add_metric([name], fleet.in_flight)
        if fleet.limit is not None:
            limit.add_metric([name], fleet.limit)
        if fleet.window is not None and fleet.window.is_known:
            window.add_metric([name], int(fleet.window.is_open))
    yield from (health, versions, unread, published, updates, flight, limit, window)


def _operation_metrics(library: Any, totals: Mapping[tuple[str, str], OperationTotals]) -> Iterator[Any]:
    gauge = _gauges(library)
    labels = ["kind", "operation"]
    ended = library.metrics_core.CounterMetricFamily(
        "fleetops_operations", "Operations that have ended, by verdict.", labels=[*labels, "verdict"]
    )
    duration = library.metrics_core.HistogramMetricFamily(
        "fleetops_operation_duration_seconds", "Durations of operations, without check and lost runs.", labels=labels
    )
    running = gauge("operations_running", "Operations in progress.", *labels)
    last = gauge("last_operation_timestamp_seconds", "When the newest operation ended.", *labels)
    for (kind, name), found in sorted(totals.items()):
        # All verdicts from the first operation on: a series that begins at 1 has no increase.
        for verdict in VERDICTS:
            if verdict != RUNNING:
                ended.add_metric([kind, name, verdict], found.verdicts[verdict])
        running.add_metric([kind, name], found.running)
        if found.seconds:
            duration.add_metric([kind, name], _buckets(found.seconds), sum(found.seconds))
        if found.last_at is not None:
            last.add_metric([kind, name], found.last_at)
    yield from (ended, duration, running, last)


def _buckets(seconds: Sequence[float]) -> list[tuple[str, float]]:
    counts = [0] * (len(BUCKETS) + 1)
    for value in seconds:
        counts[next((place for place, bound in enumerate(BUCKETS) if value <= bound), len(BUCKETS))] += 1
    bounds = [*(f"{bound:g}" for bound in BUCKETS), "+Inf"]
    return list(zip(bounds, map(float, accumulate(counts)), strict=True))


def _time_metrics(library: Any, fleets: Sequence[Fleet], backup_at: float | None, now: float) -> Iterator[Any]:
    """Times instead of ages, so that an alert on an age also fires if the metrics are no longer written."""
    gauge = _gauges(library)
    written = gauge("metrics_timestamp_seconds", "When these metrics were written.")
    written.add_metric([], now)
    api = gauge("api_read_timestamp_seconds", "When the API was last read.", "tenant")
    logs = gauge("run_logs_read_timestamp_seconds", "When run logs were last read.")
    backup = gauge("backup_timestamp_seconds", "When the database was last backed up.")
    for fleet in fleets:
        if fleet.api_at is not None:
            api.add_metric([fleet.tenant], fleet.api_at)
    if fleets and fleets[0].runs_at is not None:
        logs.add_metric([], fleets[0].runs_at)
    if backup_at is not None:
        backup.add_metric([], backup_at)
    yield from (written, api, logs, backup)


def _gauges(library: Any) -> Any:
    def gauge(name: str, help_text: str, *labels: str) -> Any:
        return library.metrics_core.GaugeMetricFamily(f"fleetops_{name}", help_text, labels=labels)

    return gauge
