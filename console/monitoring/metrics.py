# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet, its operations, and the checks, in the text format of Prometheus. Pure.

No label contains an id, a host name or a message: labels are tenants, fixed words, playbook names and runtime versions.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from console.monitoring.limits import FIGURES
from console.outcomes.words import RUNNING, VERDICTS

if TYPE_CHECKING:
    from console.monitoring.checks import Check
    from console.record.read.fleet import Fleet
    from console.record.read.operations import OperationTotals
    from console.record.read.record_health import Vitals

BUCKETS = (30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0, 14400.0, 43200.0, 86400.0)
"""Upper bounds of the histogram of durations, in seconds."""
VERSIONS_MOST = 30
"""The maximum number of runtime versions with their own series; those with the fewest instances share one."""

_NOT_READ = "not read"
_OTHER = "other"
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


class _Metric:
    """A metric with its samples. The values of a sample are those of ``labels``, in the same order."""

    def __init__(self, name: str, help_text: str, *labels: str, kind: str = "gauge") -> None:
        self._name, self._labels = f"fleetops_{name}", labels
        self.lines = [f"# HELP {self._name} {help_text}", f"# TYPE {self._name} {kind}"]

    def add(self, values: Sequence[str], number: float, suffix: str = "", **more: str) -> None:
        labels = {**dict(zip(self._labels, values, strict=True)), **more}
        named = ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels.items())
        self.lines.append(f"{self._name}{suffix}{f'{{{named}}}' if named else ''} {number:.15g}")


def _text(metrics: Iterable[_Metric]) -> str:
    return "".join(f"{line}\n" for metric in metrics for line in metric.lines)


def of_fleets(
    fleets: Sequence[Fleet],
    totals: Mapping[tuple[str, str], OperationTotals],
    *,
    backup_at: float | None,
    now: float,
) -> str:
    """The metrics of the fleets and of all operations."""
    return _text([*_fleet_metrics(fleets), *_operation_metrics(totals), *_time_metrics(fleets, backup_at, now)])


def of_checks(checks: Sequence[Check], vitals: Vitals | None, now: float) -> str:
    """The metrics of the checks, with times instead of ages, so that an age grows between two checks."""
    levels = _Metric("console_check_level", "0 ok, 1 warning, 2 critical.", "check")
    for check in checks:
        levels.add([check.name], check.level)
    metrics = [levels]

    def put(name: str, help_text: str, value: float) -> None:
        metrics.append(_Metric(f"console_{name}", help_text))
        metrics[-1].add([], value)

    put("checked_timestamp_seconds", "When these figures were written.", now)
    if vitals is not None:
        for name, help_text, at in (
            ("api_read", "When the API was last read, for the tenant that was read longest ago.", vitals.api_at),
            ("run_logs_loaded", "When run logs were last loaded.", vitals.runs_at),
            ("oldest_open_target", "When the oldest open target was created.", vitals.oldest_open_at),
            ("last_backup", "When the database was last backed up.", vitals.backup_at),
        ):
            if at is not None:
                put(f"{name}_timestamp_seconds", help_text, at)
    figures = {figure.name: figure for figure in FIGURES if figure.unit != "seconds"}
    for check in checks:
        if check.name in figures and check.value is not None:
            unit, what = "_bytes" if figures[check.name].unit == "bytes" else "", figures[check.name].what
            put(check.name.replace("-", "_") + unit, f"{what[0].upper()}{what[1:]}.", check.value)
    return _text(metrics)


def _fleet_metrics(fleets: Sequence[Fleet]) -> list[_Metric]:
    health = _Metric("instances", "Instances by their newest health check.", "tenant", "health")
    versions = _Metric("instances_runtime", "Instances by the runtime version that they run.", "tenant", "version")
    unread = _Metric("instances_not_read", "Instances whose data was never read.", "tenant", "what")
    published = _Metric("instances_on_published_runtime", "Instances that run the published runtime.", "tenant")
    updates = _Metric("instances_update_waiting", "Instances with a waiting update.", "tenant", "kind")
    flight = _Metric("redeploys_in_flight", "Redeploys in progress on the server.", "tenant")
    limit = _Metric("redeploys_limit", "How many redeploys the policy allows at a time.", "tenant")
    window = _Metric("maintenance_window_open", "1 while the maintenance window is open.", "tenant")
    for fleet in fleets:
        name = fleet.tenant
        for word, n in fleet.health.items():
            if word == _NOT_READ:
                unread.add([name, "health"], n)
            else:
                health.add([name, word], n)
        known = [(version, n) for version, n in fleet.versions if version is not None]
        for version, n in known[:VERSIONS_MOST]:
            versions.add([name, version], n)
        if len(known) > VERSIONS_MOST:
            versions.add([name, _OTHER], sum(n for _version, n in known[VERSIONS_MOST:]))
        unread.add([name, "runtime"], fleet.instances - sum(n for _version, n in known))
        unread.add([name, "updates"], fleet.instances - fleet.updates_read)
        if fleet.published is not None:
            published.add([name], fleet.on_published)
        for kind, n in fleet.updates.items():
            updates.add([name, kind], n)
        flight.add([name], fleet.in_flight)
        if fleet.limit is not None:
            limit.add([name], fleet.limit)
        if fleet.window is not None and fleet.window.is_known:
            window.add([name], int(fleet.window.is_open))
    return [health, versions, unread, published, updates, flight, limit, window]


def _operation_metrics(totals: Mapping[tuple[str, str], OperationTotals]) -> list[_Metric]:
    labels = ["kind", "operation"]
    ended = _Metric("operations_total", "Operations that have ended, by verdict.", *labels, "verdict", kind="counter")
    duration = _Metric(
        "operation_duration_seconds",
        "Durations of operations, without check and lost runs.",
        *labels,
        kind="histogram",
    )
    running = _Metric("operations_running", "Operations in progress.", *labels)
    last = _Metric("last_operation_timestamp_seconds", "When the newest operation ended.", *labels)
    for (kind, name), found in sorted(totals.items()):
        # All verdicts from the first operation on: a series that begins at 1 has no increase.
        for verdict in VERDICTS:
            if verdict != RUNNING:
                ended.add([kind, name, verdict], found.verdicts[verdict])
        running.add([kind, name], found.running)
        if found.seconds:
            ordered, number = sorted(found.seconds), len(found.seconds)
            for bound in BUCKETS:
                duration.add([kind, name], bisect_right(ordered, bound), "_bucket", le=f"{bound:g}")
            duration.add([kind, name], number, "_bucket", le="+Inf")
            duration.add([kind, name], number, "_count")
            duration.add([kind, name], sum(ordered), "_sum")
        if found.last_at is not None:
            last.add([kind, name], found.last_at)
    return [ended, duration, running, last]


def _time_metrics(fleets: Sequence[Fleet], backup_at: float | None, now: float) -> list[_Metric]:
    """Times instead of ages, so that an alert on an age also fires if the metrics are no longer written."""
    written = _Metric("metrics_timestamp_seconds", "When these metrics were written.")
    written.add([], now)
    api = _Metric("api_read_timestamp_seconds", "When the API was last read.", "tenant")
    logs = _Metric("run_logs_read_timestamp_seconds", "When run logs were last read.")
    backup = _Metric("backup_timestamp_seconds", "When the database was last backed up.")
    for fleet in fleets:
        if fleet.api_at is not None:
            api.add([fleet.tenant], fleet.api_at)
    if fleets and fleets[0].runs_at is not None:
        logs.add([], fleets[0].runs_at)
    if backup_at is not None:
        backup.add([], backup_at)
    return [written, api, logs, backup]
