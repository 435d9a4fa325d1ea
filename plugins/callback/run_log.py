# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Callback fleetops.agents.run_log: writes the events of each playbook run to a file in the run log folder."""

from __future__ import annotations

DOCUMENTATION = r"""
name: run_log
type: aggregate
short_description: Record every event of a playbook run as one JSON line
version_added: 0.1.0
author:
  - The fleetops.agents contributors (@fleetops)
description:
  - Writes each event of a run (plays, batches of C(serial), tasks, handlers, results, retries, recap) as one JSON line
    into a new file C(<start>-<run id>.jsonl) in O(spool_dir), in the shape of ansible-runner's job events.
  - Each line is written at once and unbuffered, so no written event is lost if C(ansible-playbook) is killed. Ansible
    sends an event to the screen first and then to the other callbacks, so the newest line on the screen can be missing
    in the file.
  - While the run is alive, its file has an exclusive POSIX lock. A file without a lock and without
    C(playbook_on_stats) as its last event belongs to a run that was interrupted. Only a run that was refused before it
    had a host, or whose last task a condition of C(import_playbook) has left out, ends with C(fleetops_refused)
    instead, with the reason as C(msg).
  - For results that are not failed, unreachable or changed, only the status and the ids, durations and outcomes of
    this collection's modules are stored. Arguments, extra variables and facts are never stored, and results with
    C(no_log) stay censored.
  - For M(fleetops.agents.rollout_plan), M(fleetops.agents.rollout_gate) and M(fleetops.agents.rollout_report), the plan
    (batches, seconds, window, hash), the verdict with its reasons and the figures of each check, and the report are
    stored too. They are under C(fleetops_evidence) in the event, so an interrupted run has those of its completed
    steps.
  - If a task runs in check mode although the run was started without C(--check), or the other way round, its results
    have C(fleetops_check_mode). All other results are in the mode of the run.
  - If the folder cannot be created or written to, is full, or is removed during the run, there is one warning. The play
    never fails because of it.
notes:
  - Secrets are masked wherever they occur. These are the value of E(FLEETOPS_API_KEY), the values of variables,
    environment variables and headers in E(FLEETOPS_EXTRA_HEADERS) whose names say that they are secret, vaulted
    variables, and the vault, connection and become passwords. Values under a key that names a secret are masked too.
  - Values in a vars file that is encrypted as a whole are recognized only by their names (for example C(api_key),
    C(db_password), C(vault_anything)). Set C(no_log) on tasks that print other secrets.
  - The names of the inventory's hosts and groups and the paths of the run are not masked, not even inside messages or
    if a secret is a part of them. A warning then says which variable has that value. The API key is masked everywhere.
  - Each playbook of an C(ansible-playbook) command has its own file.
  - Written lines survive the end of the process, but not a power failure, because they are not flushed to the disk.
  - If the disk is full, events are left out. The next event that can be written has their number in C(dropped_events),
    and the counters have no gaps. Room for the recap is reserved from the start, so a run that ends on a full disk does
    not look like one that was interrupted.
  - Custom stats (C(set_stats)) and C(fleetops_evidence) are also reduced to O(result_limit). Their scalars are kept,
    their lists and tables are shortened, and C(left_out) contains the full lengths.
requirements:
  - enabled in the configuration, see the examples
options:
  spool_dir:
    description:
      - Folder of the run files. If it is missing, it and its missing parents are created with mode C(0700), whatever
        the umask is. Files have mode C(0600). If other users can write to an existing folder, there is a warning.
      - The console loads only files that belong to the user who runs it.
      - The default is C($XDG_STATE_HOME/fleetops/runs), where E(XDG_STATE_HOME) is by default C(~/.local/state).
      - Keep it on a local file system. Locks of network file systems are not reliable.
    type: path
    env:
      - name: FLEETOPS_RUN_LOG_DIR
    ini:
      - section: callback_run_log
        key: spool_dir
  result_limit:
    description:
      - The maximum size of a stored result, in bytes of JSON.
      - Longer results are reduced to the status, ids, C(msg) and C(error), and marked with C(truncated).
      - At least 1024. The console leaves out lines of more than 8 MiB.
    type: int
    default: 65536
    env:
      - name: FLEETOPS_RUN_LOG_RESULT_LIMIT
    ini:
      - section: callback_run_log
        key: result_limit
"""

EXAMPLES = r"""
enable_by_configuration: |
  # ansible.cfg
  [defaults]
  callbacks_enabled = fleetops.agents.run_log

  [callback_run_log]
  spool_dir = /var/lib/fleetops/runs

enable_by_environment: |
  export ANSIBLE_CALLBACKS_ENABLED=fleetops.agents.run_log
  export FLEETOPS_RUN_LOG_DIR="$HOME/fleet-runs"
  ansible-playbook fleetops.agents.rolling_redeploy -i production.fleet.yml
"""

import functools
import os
import uuid
from collections.abc import Callable, Mapping, Set
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible import constants as C
from ansible import context
from ansible.errors import AnsibleOptionsError
from ansible.plugins.callback import CallbackBase

from ..module_utils._steps.state_folder import state_folder
from ..module_utils._steps.whole_file import absolute_path
from ..plugin_utils._controller.strict_options import StrictOptions
from ..plugin_utils._run_log.artifacts import cut_artifacts
from ..plugin_utils._run_log.check_modes import CheckModes
from ..plugin_utils._run_log.events import Clock, Parent, described_task, is_template, recap_of, recap_since
from ..plugin_utils._run_log.evidence import evidence_of, has_evidence
from ..plugin_utils._run_log.log_file import LogFile
from ..plugin_utils._run_log.masks import Masks
from ..plugin_utils._run_log.origin import run_origin
from ..plugin_utils._run_log.refused import listen
from ..plugin_utils._run_log.results import is_kept_whole, storable_result
from ..plugin_utils._run_log.secrets import (
    Secrets,
    connection_secrets,
    environment_secrets,
    inventory_names,
    play_secrets,
    run_paths,
)
from ..plugin_utils._run_log.writer import MIN_ARTIFACTS, EventWriter

_MIN_RESULT_LIMIT = 1024
_CHECK_FOLDER = " Check the folder given by FLEETOPS_RUN_LOG_DIR (spool_dir) and the room on its disk."


def _recorded(hook: Callable[..., None]) -> Callable[..., None]:
    """Call ``hook`` only in the controller's process and while a run is recorded. Its errors never fail the play."""

    @functools.wraps(hook)
    def guarded(self: CallbackModule, *args: Any, **kwargs: Any) -> None:
        # A forked worker inherits the open file. If it wrote events, their counters would not be unique.
        if self._writer is None or os.getpid() != self._pid:
            return
        try:
            hook(self, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - an error of the run log must never fail the play
            self._lost(error)

    return guarded


class CallbackModule(StrictOptions, CallbackBase):
    """Turns Ansible's hooks into events and appends them to the run's log file."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "fleetops.agents.run_log"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._pid = os.getpid()
        self._writer: EventWriter | None = None
        self._warned: set[str] = set()
        self._masks = Masks()
        self._limit = 0
        self._recap_before: dict[str, dict[str, int]] = {}

    def set_options(self, *args: Any, **kwargs: Any) -> None:
        super().set_options(*args, **kwargs)
        self._limit = self.get_option("result_limit")
        if self._limit < _MIN_RESULT_LIMIT:
            raise AnsibleOptionsError(
                f"result_limit of the run log is {self._limit} bytes. Set it to {_MIN_RESULT_LIMIT} or more."
            )

    # Playbook, plays, tasks

    def v2_playbook_on_start(self, playbook: Any) -> None:
        if os.getpid() != self._pid:
            return
        self._close()
        try:
            self._start(playbook)
        except Exception as error:  # noqa: BLE001 - an error of the run log must never fail the play
            self._close()
            self._warn(error)

    def _start(self, playbook: Any) -> None:
        started = datetime.now(UTC)
        folder = self.get_option("spool_dir")
        run_log_dir = _checked(Path(folder)) if folder else state_folder(os.environ, "runs")
        sources = context.CLIARGS.get("inventory") or ()
        self._masks.forget_names()
        paths = run_paths(playbook, sources, str(run_log_dir), C.CONFIG_FILE)
        self._learn(environment_secrets(os.environ), paths)
        run_id = str(uuid.uuid4())
        self._clock = Clock()
        self._play_uuid: str | None = None
        self._tasks: dict[str, Parent] = {}
        self._seen: dict[str, int] = {}
        self._started: dict[str, tuple[str, int, str]] = {}
        self._modes = CheckModes(bool(context.CLIARGS.get("check")))
        self._batches: dict[str, int] = {}
        self._playbook_uuid = str(uuid.uuid4())
        name = self._masks.key_redactor.text(str(getattr(playbook, "_file_name", "???")))
        # The fields that every event of the playbook has in its data, and those that every event of the play has.
        self._of_playbook = {"playbook": name, "playbook_uuid": self._playbook_uuid}
        self._of_play: dict[str, Any] = self._of_playbook
        self._task = Parent(None, self._of_playbook)
        file = LogFile(run_log_dir, run_id, started)
        self._writer = EventWriter(file, run_id, self._masks, self._clock)
        if file.lock_error is not None:
            self._warn(file.lock_error)
        listen(self._refused)
        if file.remark is not None:
            self._display.warning(f"Run log: {self._masks.key_redactor.text(file.remark)}.")
        origin = self._masks.key_redactor.scrub(run_origin(run_id, started))
        parent = Parent(None, self._of_playbook)
        try:
            self._writer.write("playbook_on_start", parent, {"fleetops_run": origin}, event_uuid=self._playbook_uuid)
        except OSError as error:
            self._lost(error)

    def set_play_context(self, play_context: Any) -> None:
        if os.getpid() == self._pid:
            self._learn(connection_secrets(play_context))

    @_recorded
    def v2_playbook_on_play_start(self, play: Any) -> None:
        inventory = getattr(play.get_variable_manager(), "_inventory", None)
        # Ansible has restricted the inventory to the hosts of the batch.
        hosts = inventory.get_hosts(play.hosts, order=play.order) if inventory is not None else []
        if inventory is not None:
            self._learn({}, inventory_names(inventory))
        if self._writer is not None:
            self._writer.reserve_recap(host.name for host in hosts)
        try:
            self._learn(play_secrets(play, hosts))
        except Exception as error:  # noqa: BLE001 - Ansible itself reports an unreadable vars file
            self._warn(error, "The play's variables cannot all be read, so secrets in them may not be masked", "")
        pattern = ",".join(play.hosts) if isinstance(play.hosts, list) else play.hosts
        name = play.get_name().strip() or pattern
        # ansible-runner's own callback, if it runs too, has already appended its suffix to the uuid.
        play_uuid = str(play._uuid).partition("_")[0]
        batch = self._batches[play_uuid] = self._batches.get(play_uuid, 0) + 1
        play_uuid = self._unique(play_uuid)
        name, pattern = self._masks.redactor.text(str(name)), self._masks.redactor.text(str(pattern))
        self._play_uuid = play_uuid
        self._of_play = {**self._of_playbook, "play": name, "play_uuid": play_uuid, "play_pattern": pattern}
        self._task, self._tasks = Parent(None, self._of_play), {}
        batch_hosts = [self._masks.host_name(host.name) for host in hosts]
        data = {"name": name, "pattern": pattern, "batch": batch, "batch_hosts": batch_hosts}
        parent = Parent(self._playbook_uuid, self._of_play)
        self._write("playbook_on_play_start", parent, data, event_uuid=play_uuid)

    @_recorded
    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._task_start(task, bool(is_conditional), False)

    @_recorded
    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        # ansible-runner marks handlers by is_conditional.
        self._task_start(task, True, True)

    def _task_start(self, task: Any, is_conditional: bool, is_handler: bool) -> None:
        event_uuid = self._unique(str(task._uuid))
        parent = self._remember(task, event_uuid)
        self._task = parent
        data = {
            "name": self._masks.redactor.scrub(task.get_name()),
            "is_conditional": is_conditional,
            "is_handler": is_handler,
        }
        self._write("playbook_on_task_start", Parent(self._play_uuid, parent.data), data, event_uuid=event_uuid)

    def _remember(self, task: Any, event_uuid: str) -> Parent:
        """Describe a task for its events. Done at each start of the task, because its name may be a template."""
        described = self._masks.redactor.scrub(described_task(task))
        path = self._masks.key_redactor.scrub(task.get_path())
        loop = self._masks.redactor.scrub(getattr(task, "loop_with", None))
        parent = self._tasks[task._uuid] = Parent(event_uuid, {**self._of_play, **described, "task_path": path}, loop)
        return parent

    def _unique(self, identity: str) -> str:
        """A uuid, with a suffix as in ansible-runner if it occurred before: Ansible reuses the uuids in each batch."""
        times = self._seen[identity] = self._seen.get(identity, 0) + 1
        return identity if times == 1 else f"{identity}_{times}"

    def _refused(self, why: str) -> None:
        """Record that the hosts of a play are an error. Ansible calls no hook then, not even v2_playbook_on_stats."""
        if self._writer is None or os.getpid() != self._pid:
            return
        try:
            parent = Parent(self._playbook_uuid, self._of_playbook)
            self._write("fleetops_refused", parent, {"msg": self._masks.redactor.scrub(why)})
        except OSError as error:
            self._lost(error)
        self._close()

    @_recorded
    def v2_playbook_on_notify(self, handler: Any, host: Any) -> None:
        host_name, handler_name = self._masks.host_name(host.get_name()), self._masks.redactor.scrub(handler.get_name())
        self._write("playbook_on_notify", self._task, {"host": host_name, "handler": handler_name})

    @_recorded
    def v2_playbook_on_no_hosts_matched(self) -> None:
        self._write("playbook_on_no_hosts_matched", Parent(self._play_uuid, self._of_play))

    @_recorded
    def v2_playbook_on_no_hosts_remaining(self) -> None:
        self._write("playbook_on_no_hosts_remaining", self._task)

    @_recorded
    def v2_playbook_on_stats(self, stats: Any) -> None:
        recap = recap_of(stats)
        text = self._masks.key_redactor.text
        data = {
            name: {text(host): n for host, n in counts.items()}
            for name, counts in recap_since(self._recap_before, recap).items()
        }
        self._recap_before = recap
        artifacts = self._masks.redactor.scrub((getattr(stats, "custom", None) or {}).get("_run", {}))
        try:
            self._end(data, artifacts)
        finally:
            self._close()

    def _end(self, recap: dict[str, Any], artifacts: Any) -> None:
        """Append the recap. On a full disk, only as much of the custom stats (artifacts) is written as fits."""
        parent = Parent(self._playbook_uuid, self._of_playbook)
        for limit in (self._limit, MIN_ARTIFACTS, 0):
            data = {**recap, "artifact_data": cut_artifacts(artifacts, limit, self._masks.redactor)}
            try:
                self._write("playbook_on_stats", parent, data, last=True)
            except OSError:
                if limit == 0:
                    raise
            else:
                return

    # Results

    @_recorded
    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        micros, now = self._clock.now()
        self._started[host.name] = (task._uuid, micros, now)
        self._write("runner_on_start", self._of_task(task), {"host": self._masks.host_name(host.name)}, created=now)

    @_recorded
    def v2_runner_on_ok(self, result: Any) -> None:
        self._result("runner_on_ok", result)

    @_recorded
    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        # ansible-core passes None for "no".
        self._result("runner_on_failed", result, ignore_errors=bool(ignore_errors))

    @_recorded
    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._result("runner_on_unreachable", result)

    @_recorded
    def v2_runner_on_skipped(self, result: Any) -> None:
        self._result("runner_on_skipped", result)

    @_recorded
    def v2_runner_item_on_ok(self, result: Any) -> None:
        self._item("runner_item_on_ok", result)

    @_recorded
    def v2_runner_item_on_failed(self, result: Any) -> None:
        self._item("runner_item_on_failed", result)

    @_recorded
    def v2_runner_item_on_skipped(self, result: Any) -> None:
        self._item("runner_item_on_skipped", result)

    @_recorded
    def v2_runner_retry(self, result: Any) -> None:
        self._item("runner_retry", result)

    def _result(self, event: str, result: Any, *, ignore_errors: bool | None = None) -> None:
        ended, now = self._clock.now()
        host, task = result._host, result._task
        of_task = self._of_task(task)
        task_uuid, started, start = self._started.get(host.name, ("", 0, ""))
        # Ansible reports no start of some tasks, such as an include that failed: their results have no times.
        is_started = task_uuid == task._uuid
        data: dict[str, Any] = {
            "host": self._masks.host_name(host.name),
            "remote_addr": self._masks.host_name(host.address),
            "start": start if is_started else None,
            "end": now if is_started else None,
            "duration": (ended - started) / 1_000_000 if is_started else None,
        }
        if ignore_errors is not None:
            data["ignore_errors"] = ignore_errors
        if event != "runner_on_unreachable":
            data["event_loop"] = of_task.loop
        if event != "runner_on_skipped":
            data |= self._kept(event, result, of_task)
        self._write(event, of_task, data, created=now)

    def _item(self, event: str, result: Any) -> None:
        of_task = self._of_task(result._task)
        data = {"host": self._masks.host_name(result._host.name), **self._kept(event, result, of_task)}
        self._write(event, of_task, data)

    def _kept(self, event: str, result: Any, of_task: Parent) -> dict[str, Any]:
        """What is stored of a result, with ``fleetops_evidence`` if it is a plan, a gate or a report."""
        # Of most results only a few scalars are stored. They are read from _return_data where it exists: _result of
        # ansible-core 2.19 and later copies the whole result, which takes longer than the rest of the event.
        data = getattr(result, "_return_data", None)
        action = of_task.data["resolved_action"]
        if data is None or is_kept_whole(data, event) or has_evidence(event, action):
            data = result._result
        kept: dict[str, Any] = {"res": storable_result(data, event, self._limit, self._masks.redactor)}
        kept |= self._modes.of_result(event, result)
        if data is not None and (found := evidence_of(event, action, data, self._limit, self._masks.redactor)):
            kept["fleetops_evidence"] = found
        return kept

    def _of_task(self, task: Any) -> Parent:
        of_task = self._tasks.get(task._uuid) or self._remember(task, task._uuid)
        if is_template(of_task.data["resolved_action"]) and (resolved := getattr(task, "_resolved_action", None)):
            # The task has run for this host.
            return of_task._replace(data={**of_task.data, "resolved_action": resolved})
        return of_task

    # Writing

    def _write(self, event: str, parent: Parent, data: Mapping[str, Any] | None = None, **more: Any) -> None:
        """Write an event with EventWriter.write. Does nothing if no run is recorded."""
        if self._writer is not None:
            self._writer.write(event, parent, data, **more)

    def _learn(self, secrets: Secrets, names: Set[str] = frozenset()) -> None:
        """Add secrets to mask, and names that are never masked. Warns of each secret that is part of such a name."""
        for source in self._masks.learn(secrets, names):
            self._display.warning(
                f"Run log: the value of {source} is part of the name of a host or a group, or of a path of this run."
                " It is not masked there, since the names would no longer be recognizable. If it is a secret, choose"
                " another value."
            )

    # Errors

    def _lost(self, error: Exception) -> None:
        """Count an event that could not be recorded, and warn the first time."""
        if self._writer is not None:
            self._writer.dropped += 1
            if not self._writer.is_open:
                self._close()
        self._warn(error)

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _warn(
        self,
        error: Exception,
        what: str = "This run is not recorded, or not completely",
        advice: str = _CHECK_FOLDER,
    ) -> None:
        if what not in self._warned:
            self._warned.add(what)
            reason = self._masks.redactor.text(str(error)) or type(error).__name__
            self._display.warning(f"Run log: {what}: {reason}. The play continues.{advice}")


def _checked(folder: Path) -> Path:
    """``folder`` itself. Raises FileError for the home of an unknown user and for an unset environment variable.

    Ansible leaves these unchanged. It takes them for a folder in the working folder or in that of ansible.cfg, unless
    the path is absolute.
    """
    absolute_path(str(folder))
    for base in (Path.cwd(), Path(C.CONFIG_FILE or "/").parent):
        if folder.is_relative_to(base):
            absolute_path(str(folder.relative_to(base)))
    return folder
