# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Callback fleetops.agents.run_log: writes every event of a playbook run into a spool file of its own."""

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
  - Each line is written at once and unbuffered, so that a killed C(ansible-playbook) loses no event that was written.
    Ansible reports an event to the screen first and then to the other callbacks, so the newest line on the screen can
    be missing in the file.
  - While the run is alive, its file carries an exclusive POSIX lock. A file without a lock and without
    C(playbook_on_stats) as its last event is a run that was interrupted. Only a run that was refused before it had a
    host ends with C(fleetops_refused) instead, with the reason as C(msg).
  - Of results that are neither failed, unreachable nor changed, only the status and the ids and durations of this
    collection's modules are stored. Arguments, extra variables and facts are never stored, results with
    C(no_log) stay censored.
  - A folder that is unwritable, full, missing or removed during the run costs one warning, never the play.
notes:
  - The value of E(FLEETOPS_API_KEY), and those of environment variables and variables whose names say that they are
    secret, of vaulted variables, and the vault, connection and become passwords are masked wherever they occur, and so
    is whatever stands under a key that names a secret. Values in a vars file that is encrypted as a whole are known
    only by their names (for example C(api_key), C(db_password), C(vault_anything)). Set C(no_log) on tasks that
    print others.
  - The names of the inventory's hosts and groups and the run's paths are not masked, also inside messages, even where a
    secret is a part of them. A warning then says which variable has that value. The API key is masked everywhere.
  - Each playbook of an C(ansible-playbook) command gets a file of its own.
  - Written lines survive the end of the process, not a power cut. Nothing is flushed to the disk.
  - When the folder is full, events are left out, and the next event that finds room says how many
    in C(dropped_events). Counters have no gaps. Room for the recap is kept from the start on, so that a run that ends
    on a full disk does not look like one that was interrupted.
  - What C(set_stats) was given is cut down to O(result_limit) too. Its scalars stay, its lists and tables become
    shorter, and C(left_out) holds their full lengths.
requirements:
  - enabled in the configuration, see the examples
options:
  spool_dir:
    description:
      - Folder of the run files. It is created with mode C(0700) when it is missing, as are its missing parents,
        whatever the umask is. Files have mode C(0600). A warning says when other users can write to an existing folder.
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
      - The most bytes of JSON that are stored of one result.
      - Longer results are cut down to the status, ids, C(msg) and C(error), and marked with C(truncated).
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
  ansible-playbook fleetops.agents.rolling_redeploy
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

from ansible_collections.fleetops.agents.plugins.module_utils._client.redact import Redactor
from ansible_collections.fleetops.agents.plugins.plugin_utils._controller.strict_options import StrictOptions
from ansible_collections.fleetops.agents.plugins.plugin_utils._run_log.artifacts import cut_artifacts
from ansible_collections.fleetops.agents.plugins.plugin_utils._run_log.lines import Clock, Head, head, members
from ansible_collections.fleetops.agents.plugins.plugin_utils._run_log.origin import run_origin
from ansible_collections.fleetops.agents.plugins.plugin_utils._run_log.redactor import NameRedactor
from ansible_collections.fleetops.agents.plugins.plugin_utils._run_log.refused import listen
from ansible_collections.fleetops.agents.plugins.plugin_utils._run_log.results import (
    dump,
    is_kept_whole,
    result_text,
)
from ansible_collections.fleetops.agents.plugins.plugin_utils._run_log.secrets import (
    Secrets,
    connection_secrets,
    inventory_names,
    is_api_key,
    named_environment_secrets,
    play_secrets,
    run_paths,
)
from ansible_collections.fleetops.agents.plugins.plugin_utils._run_log.spool import (
    LEAST_RESERVE,
    Spool,
    default_folder,
)

_LEAST_RESULT_LIMIT = 1024
# As many bytes of the artifacts find room on a full disk.
_LEAST_ARTIFACTS = 4096
_RECAP = ("changed", "dark", "failures", "ignored", "ok", "processed", "rescued", "skipped")


def _recorded(hook: Callable[..., None]) -> Callable[..., None]:
    """A hook that runs in the controller's process while a run is being recorded, and never fails the play."""

    @functools.wraps(hook)
    def guarded(self: CallbackModule, *args: Any, **kwargs: Any) -> None:
        # A forked worker has the same open file; its lines would break the counter.
        if self._spool is None or os.getpid() != self._pid:
            return
        try:
            hook(self, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - the record must never cost the play
            self._lost(error)

    return guarded


class CallbackModule(StrictOptions, CallbackBase):
    """Turns Ansible's hooks into events and appends them to the run's spool file."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "fleetops.agents.run_log"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._pid = os.getpid()
        self._spool: Spool | None = None
        self._warned = False
        self._secrets: Secrets = {}
        self._names: set[str] = set()
        self._paths: set[str] = set()
        self._spared: set[str] = set()
        self._redactor = NameRedactor()
        # For what is a name as a whole: of that the API key alone is masked.
        self._key_redactor = Redactor()
        self._host_names: dict[str, str] = {}
        self._limit = 0
        self._recap_before: dict[str, dict[str, int]] = {}

    def set_options(self, *args: Any, **kwargs: Any) -> None:
        super().set_options(*args, **kwargs)
        self._limit = self.get_option("result_limit")
        if self._limit < _LEAST_RESULT_LIMIT:
            raise AnsibleOptionsError(
                f"result_limit of the run log is {self._limit} bytes. Set it to {_LEAST_RESULT_LIMIT} or more."
            )

    # Playbook, plays, tasks

    def v2_playbook_on_start(self, playbook: Any) -> None:
        if os.getpid() != self._pid:
            return
        self._close()
        try:
            self._start(playbook)
        except Exception as error:  # noqa: BLE001 - the record must never cost the play
            self._close()
            self._warn(error)

    def _start(self, playbook: Any) -> None:
        started = datetime.now(UTC)
        folder = self.get_option("spool_dir")
        spool_dir = Path(folder) if folder else default_folder(os.environ)
        sources = context.CLIARGS.get("inventory") or ()
        self._names, self._paths = set(), run_paths(playbook, sources, str(spool_dir), C.CONFIG_FILE)
        self._recap_room: dict[str, int] = {}
        self._learn(named_environment_secrets(os.environ), self._paths)
        self._run_id = str(uuid.uuid4())
        self._counter = 0
        self._dropped = 0
        self._clock = Clock()
        self._play_uuid: str | None = None
        # Members of every event's data, as JSON: of the playbook, and of the playbook and the play.
        self._of_playbook = self._of_play = ""
        self._tasks: dict[str, Head] = {}
        self._seen: dict[str, int] = {}
        self._started: dict[str, tuple[str, int, str]] = {}
        self._batches: dict[str, int] = {}
        self._uuid_start = str(uuid.uuid4())[:24]
        self._playbook_uuid = str(uuid.uuid4())
        name = self._key_redactor.text(str(getattr(playbook, "_file_name", "???")))
        self._of_playbook = self._members({"playbook": name, "playbook_uuid": self._playbook_uuid})
        self._of_play = self._of_playbook
        self._task = head(None, self._of_playbook)
        self._of_run = self._members({"pid": self._pid, "runner_ident": self._run_id})
        self._spool = Spool(spool_dir, self._run_id, started)
        if self._spool.lock_error is not None:
            self._warn(self._spool.lock_error)
        listen(self._refused)
        if self._spool.remark is not None:
            self._display.warning(f"Run log: {self._key_redactor.text(self._spool.remark)}.")
        origin = self._key_redactor.scrub(run_origin(self._run_id, started))
        said = self._members({"fleetops_run": origin})
        try:
            self._emit("playbook_on_start", head(None, self._of_playbook), said, event_uuid=self._playbook_uuid)
        except OSError as error:
            self._lost(error)

    def set_play_context(self, play_context: Any) -> None:
        if os.getpid() == self._pid:
            self._learn(connection_secrets(play_context))

    @_recorded
    def v2_playbook_on_play_start(self, play: Any) -> None:
        inventory = getattr(play.get_variable_manager(), "_inventory", None)
        # The executor restricts the inventory to a batch before each one.
        hosts = inventory.get_hosts(play.hosts, order=play.order) if inventory is not None else []
        if inventory is not None:
            self._learn({}, inventory_names(inventory))
        self._keep_room(hosts)
        try:
            self._learn(play_secrets(play, hosts))
        except Exception as error:  # noqa: BLE001 - an unreadable vars file is Ansible's to report
            self._warn(error, "Not all secrets of the play's variables are known, the others are masked")
        pattern = ",".join(play.hosts) if isinstance(play.hosts, list) else play.hosts
        name = play.get_name().strip() or pattern
        # ansible-runner's own callback, when it runs too, has put its suffix there already.
        play_uuid = str(play._uuid).partition("_")[0]
        batch = self._batches[play_uuid] = self._batches.get(play_uuid, 0) + 1
        play_uuid = self._unique(play_uuid)
        name, pattern = self._redactor.text(str(name)), self._redactor.text(str(pattern))
        text = self._key_redactor.text
        of_play = self._members({"play": name, "play_uuid": play_uuid, "play_pattern": pattern})
        self._play_uuid, self._of_play = play_uuid, self._of_playbook + of_play
        self._task, self._tasks = head(None, self._of_play), {}
        data = {"name": name, "pattern": pattern, "batch": batch, "batch_hosts": [text(host.name) for host in hosts]}
        parent = head(self._playbook_uuid, self._of_play)
        self._emit("playbook_on_play_start", parent, self._members(data), event_uuid=play_uuid)

    def _keep_room(self, hosts: list[Any]) -> None:
        """Have room on the disk for a recap with these hosts in each of its tallies."""
        for host in hosts:
            if host.name not in self._recap_room:
                self._recap_room[host.name] = (len(self._host_name(host.name)) + 8) * len(_RECAP)
        if self._spool is not None:
            self._spool.reserve(LEAST_RESERVE + _LEAST_ARTIFACTS + sum(self._recap_room.values()))

    @_recorded
    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._task_start(task, bool(is_conditional), False)

    @_recorded
    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        # ansible-runner marks handlers by is_conditional.
        self._task_start(task, True, True)

    def _task_start(self, task: Any, is_conditional: bool, is_handler: bool) -> None:
        event_uuid = self._unique(str(task._uuid))
        of_task = self._describe(task)
        self._task = self._remember(task, of_task, event_uuid)
        data = {
            "name": self._redactor.scrub(task.get_name()),
            "is_conditional": is_conditional,
            "is_handler": is_handler,
        }
        parent = head(self._play_uuid, self._of_play + of_task)
        self._emit("playbook_on_task_start", parent, self._members(data), event_uuid=event_uuid)

    def _describe(self, task: Any) -> str:
        """What every event of ``task`` says of it; worked out once a start, since names may be templates."""
        described = {
            "task": task.name or task.action,
            "task_uuid": str(task._uuid),
            "task_action": task.action,
            "resolved_action": getattr(task, "resolved_action", None) or task.action,
            "task_args": "",
        }
        role = getattr(task, "_role", None)
        if role is not None:
            described["role"] = role._role_name
            resolved = role.get_name()
            if resolved != role._role_name:
                described["resolved_role"] = resolved
        path = self._key_redactor.scrub(task.get_path())
        return self._members({**self._redactor.scrub(described), "task_path": path})

    def _remember(self, task: Any, of_task: str, event_uuid: str) -> Head:
        loop = dump(self._redactor.scrub(getattr(task, "loop_with", None)), self._redactor)
        made = self._tasks[task._uuid] = head(event_uuid, self._of_play + of_task, loop)
        return made

    def _unique(self, identity: str) -> str:
        """Ansible repeats uuids in every batch and for handlers; events get a suffix, as ansible-runner's do."""
        times = self._seen[identity] = self._seen.get(identity, 0) + 1
        return identity if times == 1 else f"{identity}_{times}"

    def _refused(self, why: str) -> None:
        """The run ends before it has a host; Ansible calls no hook for that, not even the one for the recap."""
        if self._spool is None or os.getpid() != self._pid:
            return
        try:
            said = self._members({"msg": self._redactor.scrub(why)})
            self._emit("fleetops_refused", head(self._playbook_uuid, self._of_playbook), said)
        except OSError as error:
            self._lost(error)
        self._close()

    @_recorded
    def v2_playbook_on_notify(self, handler: Any, host: Any) -> None:
        handler_name = dump(self._redactor.scrub(handler.get_name()), self._redactor)
        said = f'"host":{self._host_name(host.get_name())},"handler":{handler_name},'
        self._emit("playbook_on_notify", self._task, said)

    @_recorded
    def v2_playbook_on_no_hosts_matched(self) -> None:
        self._emit("playbook_on_no_hosts_matched", head(self._play_uuid, self._of_play))

    @_recorded
    def v2_playbook_on_no_hosts_remaining(self) -> None:
        self._emit("playbook_on_no_hosts_remaining", self._task)

    @_recorded
    def v2_playbook_on_stats(self, stats: Any) -> None:
        recap = {name: dict(getattr(stats, name, None) or {}) for name in _RECAP}
        data: dict[str, Any] = {name: self._since_last_playbook(name, recap[name]) for name in _RECAP}
        data["processed"] = {host: 1 for counts in data.values() for host in counts}
        text = self._key_redactor.text
        data = {name: {text(host): n for host, n in counts.items()} for name, counts in data.items()}
        self._recap_before = recap
        artifacts = self._redactor.scrub((getattr(stats, "custom", None) or {}).get("_run", {}))
        try:
            self._end(data, artifacts)
        finally:
            self._close()

    def _end(self, recap: dict[str, Any], artifacts: Any) -> None:
        """Append the recap, on a full disk with as much of the artifacts as there is room for."""
        of_run = head(self._playbook_uuid, self._of_playbook)
        for limit in (self._limit, _LEAST_ARTIFACTS, 0):
            data = {**recap, "artifact_data": cut_artifacts(artifacts, limit, self._redactor)}
            try:
                self._emit("playbook_on_stats", of_run, self._members(data), last=True)
            except OSError:
                if limit == 0:
                    raise
            else:
                return

    def _since_last_playbook(self, name: str, counts: Mapping[str, int]) -> dict[str, int]:
        """Ansible counts on over the playbooks of one command."""
        before = self._recap_before.get(name, {})
        return {host: n - before.get(host, 0) for host, n in counts.items() if n != before.get(host, 0)}

    # Results

    @_recorded
    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        micros, now = self._clock.now()
        self._started[host.name] = (task._uuid, micros, now)
        self._emit("runner_on_start", self._of_task(task), f'"host":{self._host_name(host.name)},', now)

    @_recorded
    def v2_runner_on_ok(self, result: Any) -> None:
        self._result("runner_on_ok", result)

    @_recorded
    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._result("runner_on_failed", result, f'"ignore_errors":{"true" if ignore_errors else "false"},')

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

    def _result(self, event: str, result: Any, more: str = "") -> None:
        ended, now = self._clock.now()
        host, task = result._host, result._task
        of_task = self._of_task(task)
        task_uuid, started, start = self._started.get(host.name, ("", 0, ""))
        if task_uuid == task._uuid:
            times = f'"start":"{start}","end":"{now}","duration":{(ended - started) / 1_000_000},'
        else:
            # A result of a task that was never announced, as of an include that failed.
            times = '"start":null,"end":null,"duration":null,'
        said = f'"host":{self._host_name(host.name)},"remote_addr":{self._host_name(host.address)},{times}{more}'
        if event != "runner_on_unreachable":
            said += f'"event_loop":{of_task.loop},'
        if event != "runner_on_skipped":
            said += f'"res":{self._kept(event, result)},'
        self._emit(event, of_task, said, now)

    def _item(self, event: str, result: Any) -> None:
        said = f'"host":{self._host_name(result._host.name)},"res":{self._kept(event, result)},'
        self._emit(event, self._of_task(result._task), said)

    def _kept(self, event: str, result: Any) -> str:
        # Of most results a few scalars are kept: for them, ansible-core 2.19 and later need not make its copy of it
        # all in native types (_result), which costs more than the rest of the event.
        data = getattr(result, "_return_data", None)
        if data is None or is_kept_whole(data, event):
            data = result._result
        return result_text(data, event, self._limit, self._redactor)

    def _host_name(self, name: str) -> str:
        """A host's name or address as JSON, scrubbed once."""
        known = self._host_names.get(name)
        if known is None:
            known = self._host_names[name] = dump(self._key_redactor.scrub(name), self._redactor)
        return known

    def _of_task(self, task: Any) -> Head:
        return self._tasks.get(task._uuid) or self._remember(task, self._describe(task), task._uuid)

    # Writing

    def _members(self, data: Mapping[str, Any]) -> str:
        return members(data, self._redactor)

    def _emit(
        self,
        event: str,
        of_parent: Head,
        said: str = "",
        created: str = "",
        *,
        event_uuid: str = "",
        last: bool = False,
    ) -> None:
        """Append one event whose own data are the members ``said``; the ``last`` one may use the reserved room.

        Raises OSError when it cannot be written; the counter then stays.
        """
        if self._spool is None:
            return
        counter = self._counter + 1
        # Random numbers cost a system call each: one for the run and the counter make as unique a name.
        event_uuid = event_uuid or f"{self._uuid_start}{counter:012x}"
        created = created or self._clock.now()[1]
        dropped = f'"dropped_events":{self._dropped},' if self._dropped else ""
        line = (
            f'{{"uuid":"{event_uuid}","counter":{counter},"event":"{event}","created":"{created}",'
            f'{self._of_run}{dropped}{of_parent.text}{said}"uuid":"{event_uuid}"}}}}'
        )
        if event.startswith("playbook_"):
            self._spool.check_name()
        append = self._spool.append_last if last else self._spool.append
        append(line.encode("ascii"))
        self._counter = counter

    def _learn(self, secrets: Secrets, names: Set[str] = frozenset()) -> None:
        """Take in what is secret, and the names that are never masked."""
        fresh = {value: source for value, source in secrets.items() if value not in self._secrets}
        fresh |= {value: source for value, source in secrets.items() if is_api_key(source)}
        if fresh.items() <= self._secrets.items() and names <= self._names:
            return
        self._secrets |= fresh
        self._names |= names
        always = {value for value, source in self._secrets.items() if is_api_key(source)}
        self._redactor = NameRedactor(self._secrets, self._names, always)
        self._key_redactor = Redactor(always)
        self._host_names = {}
        for source in self._redactor.spared():
            if source not in self._spared:
                self._spared.add(source)
                self._display.warning(
                    f"Run log: the value of {source} is part of the name of a host or a group, or of a path of this"
                    " run. It is not masked there, since the names would not be recognised any more. If it is a secret,"
                    " choose another one."
                )

    # Trouble

    def _lost(self, error: Exception) -> None:
        """One event could not be recorded."""
        self._dropped += 1
        if self._spool is not None and not self._spool.is_open:
            self._close()
        self._warn(error)

    def _close(self) -> None:
        if self._spool is not None:
            self._spool.close()
            self._spool = None

    def _warn(self, error: Exception, what: str = "This run is not recorded, or not completely") -> None:
        if not self._warned:
            self._warned = True
            reason = self._redactor.text(str(error)) or type(error).__name__
            self._display.warning(
                f"Run log: {what}: {reason}. The play goes on."
                " Check the folder given by FLEETOPS_RUN_LOG_DIR (spool_dir) and the room on its disk."
            )
