# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Imports the artifact folders of ansible-runner into the store. Each folder is a run, and each file in it an event.

An incomplete file of a run that may still be writing it is left for the next sync. In a run that has ended, it is
skipped and reported, and the run is read again once that file has changed or other files have been added.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.fleetops.agents.plugins.module_utils._client.redact import Redactor
from ansible_collections.fleetops.agents.plugins.plugin_utils._run_log.redactor import NameRedactor
from ansible_collections.fleetops.agents.plugins.plugin_utils._run_log.secrets import environment_secrets, is_api_key
from console.collect.jobs.import_job import ImportReport, JobImport, StoredByAnother
from console.collect.jobs.job import command_of, runner_job
from console.collect.progress import Progress, silent
from console.record.rows import Cursor
from console.record.write import jobs
from console.record.write.store import Store
from console.settings.environment import open_regular

SOURCE = "runner"
BATCH = 1000
# Bytes of the events that are stored in one transaction, and of the longest event that is read.
BATCH_BYTES = 16 << 20
MAX_EVENT = 64 << 20
# A run without an end is lost if its folder has not changed for this long.
LOST_AFTER_S = 6 * 3600.0

_EVENT = re.compile(r"^(?P<counter>\d{1,18})-(?P<uuid>.+)(?<!-partial)\.json$")


def sync_runner(store: Store, folder: Path, *, now: Callable[[], float], progress: Progress = silent) -> ImportReport:
    """Import new events under ``folder``: ansible-runner's private data folder, its artifacts folder, or that of a run.

    A run that cannot be read is reported and does not stop the others. Raises DatabaseProblem.
    """
    report, scope = ImportReport("ansible-runner"), str(folder.resolve())
    try:
        found = artifact_folders(folder)
    except OSError as error:
        report.problems.append(f"The folder {folder} cannot be read: {error.strerror or error}.")
        # Not for a folder that was never read: its name may be mistyped.
        if store.cursor(SOURCE, scope):
            store.note_read(SOURCE, scope, now(), report.problems)
        return report
    if not found:
        report.notes.append(f"There is no run of ansible-runner in {folder}: no folder in it contains job_events.")
    for done, run_folder in enumerate(found):
        progress(done, len(found), "runs of ansible-runner")
        try:
            _Run(run_folder, now()).load(store, report)
        except StoredByAnother:
            report.notes.append(f"{run_folder} is being imported by another sync, so this one skipped it.")
        except OSError as error:
            report.problems.append(f"The run {run_folder} cannot be read: {error.strerror or error}.")
    progress(len(found), len(found), "runs of ansible-runner")
    # This includes runs whose folder is gone.
    store.lose_runs(SOURCE, now() - LOST_AFTER_S)
    store.note_read(SOURCE, scope, now(), report.problems)
    return report


def artifact_folders(folder: Path) -> list[Path]:
    """The folders of single runs at or under ``folder``, by name. Raises OSError."""
    if (folder / "job_events").is_dir():
        return [folder]
    inside = folder / "artifacts"
    under = inside if inside.is_dir() else folder
    return sorted(path for path in under.iterdir() if _may_be_run(path))


def _may_be_run(folder: Path) -> bool:
    try:
        return (folder / "job_events").is_dir()
    except OSError:
        # A folder that cannot be read is reported later like any other such run, and does not stop the others.
        return True


@dataclass
class _Batch:
    """Events that were read, up to counter ``position``. ``unread``: the size and time of unreadable files, by name."""

    position: int
    events: list[Any] = field(default_factory=list)
    files: int = 0
    unread: dict[str, list[int]] = field(default_factory=dict)
    waits_for: str | None = None


class _Run:
    """The current state of one artifact folder."""

    def __init__(self, folder: Path, now: float) -> None:
        self._folder, self._events = folder, folder / "job_events"
        names = [(int(m["counter"]), m["uuid"], m[0]) for p in self._events.iterdir() if (m := _EVENT.match(p.name))]
        self._names = sorted(names)
        # Idents are often only a number, so the uuid of the first event distinguishes two runs.
        mark = self._names[0][1][:8] if self._names else "none"
        command, environment = command_of(self._text("command"))
        # Paths in the command are not masked, nor are the names of hosts, which are added as events are read.
        paths = {word for word in (*command, str(folder), environment.get("HOME", "")) if word.startswith("/")}
        rc = self._text("rc").strip()
        code = int(rc) if re.fullmatch(r"-?\d{1,9}", rc) else None
        job = runner_job(
            f"{folder.name}-runner-{mark}", folder.name, self._text("status").strip(), code, command, environment
        )
        if not job.ended and now - self._changed_at() > LOST_AFTER_S:
            job.row["status"] = "lost"
        self._job = job
        self._secrets = environment_secrets(environment)
        self._unmasked = paths - self._secrets.keys()
        self._always = {value for value, source in self._secrets.items() if is_api_key(source)}

    def load(self, store: Store, report: ImportReport) -> None:
        """Store the events after the cursor."""
        name = f"The run {self._folder.name} of ansible-runner"
        if not self._names and self._job.row["status"] == "running":
            # Its key would be another one than that of the same run with events.
            report.waiting += 1
            report.notes.append(f"{name} has no event yet; the next sync imports it.")
            return
        load = JobImport(store, self._job, name, self._redactor([]))
        last = self._names[-1][0] if self._names else 0
        starts_over = load.cursor is not None and self._must_start_over(load.cursor)
        is_complete = load.cursor is not None and self._job.key in jobs.complete(store, SOURCE)
        if is_complete and not starts_over and last <= load.position:
            report.known += 1
            return
        if starts_over:
            load.forget()
        state = load.cursor.state if load.cursor else {}
        position = load.position if state else 0
        files, unread = state.get("files", 0), dict(state.get("unread", {}))
        waits_for, more = None, True
        while more:
            batch = self._read(position)
            position, waits_for = batch.position, batch.waits_for
            files, unread = files + batch.files, unread | batch.unread
            more = waits_for is None and position < last
            complete = self._job.ended and not more
            load.redactor = self._redactor(batch.events)
            load.put(batch.events, position=position, complete=complete, files=files, unread=unread)
        load.add_to(report)
        if waits_for is not None:
            report.waiting += 1
            report.notes.append(f"{name}: {waits_for} is not complete yet; the next sync continues there.")
        if unread:
            report.problems.append(
                f"{name}: {len(unread)} event file(s) cannot be read ({self._events / min(unread)} is incomplete, too"
                " long or not JSON); the rest is stored. Once these files are repaired, the next sync reads them too."
            )

    def _redactor(self, events: list[Any]) -> Redactor:
        """A redactor for the secrets of the run's environment. In host names and paths it masks only API keys."""
        for event in events:
            data = event.get("event_data") if isinstance(event, dict) else None
            if not isinstance(data, dict):
                continue
            tallies = (data.get(name) for name in ("ok", "failures", "dark", "skipped", "processed"))
            for names in ([data.get("host"), data.get("remote_addr")], *tallies):
                if isinstance(names, list | dict):
                    self._unmasked.update(name for name in names if isinstance(name, str))
        return NameRedactor(self._secrets, self._unmasked, self._always)

    def _must_start_over(self, cursor: Cursor) -> bool:
        """Whether files up to the cursor have changed or been added since."""
        unread = cursor.state.get("unread", {})
        if any(self._stamp(name) != stamp for name, stamp in unread.items()):
            return True
        behind = sum(counter <= (cursor.position or 0) for counter, _uuid, _name in self._names)
        return behind != int(cursor.state.get("files", 0))

    def _read(self, after: int) -> _Batch:
        batch, read = _Batch(after), 0
        for counter, _uuid, name in self._names:
            if counter <= after:
                continue
            try:
                with open_regular(self._events / name) as file:
                    # What is longer is cut, which is not JSON.
                    content = file.read(MAX_EVENT)
                read += len(content)
                event = json.loads(content)
            except (ValueError, RecursionError):
                if not self._job.ended and self._job.row["status"] != "lost":
                    batch.waits_for = name
                    break
                batch.unread[name] = self._stamp(name)
            else:
                batch.events.append(event)
            batch.position, batch.files = counter, batch.files + 1
            if batch.files >= BATCH or read >= BATCH_BYTES:
                break
        return batch

    def _stamp(self, name: str) -> list[int]:
        try:
            found = (self._events / name).stat()
        except FileNotFoundError:
            return []
        return [found.st_size, found.st_mtime_ns]

    def _changed_at(self) -> float:
        newest = [self._events / self._names[-1][2]] if self._names else []
        return max(path.stat().st_mtime for path in (self._folder, self._events, *newest))

    def _text(self, name: str) -> str:
        try:
            with open_regular(self._folder / name) as file:
                return file.read().decode(errors="replace")
        except FileNotFoundError:
            return ""
