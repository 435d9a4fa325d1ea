# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs a module of the collection in the controller's process: no connection, no interpreter, no temporary file.

This is the action plugin of the module api_request. The plugins of the other modules derive from it and name their
operation. Each module has such a file, and not only a route in meta/runtime.yml, because Ansible loads the file before
it forks. The module and requests are then imported once, and not by each worker, for which Ansible would compile the
files each time. With ``async``, with ``environment``, or delegated to another host, the task runs as an ordinary
module.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any, ClassVar

from ansible import constants as C
from ansible.module_utils.basic import missing_required_lib
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.parameters import remove_values
from ansible.module_utils.errors import UnsupportedError
from ansible.plugins.action import ActionBase

from ..module_utils._client.transport import REQUESTS_IMPORT_ERROR, SettingsError
from ..module_utils._module.operation import Context, Operation, Result, execute
from ..module_utils._module.options import check_ids, check_texts, check_values, optional_connection_spec, secret_texts
from ..module_utils._rules.ids import same_id
from ..modules.api_request import OPERATION
from ..plugin_utils._controller.refused_key import RefusedKey

_NOT_TRIED = "Not done: the server refused the key to an earlier task of this run."


class ActionModule(ActionBase):
    """One task of the module that ``operation`` describes."""

    operation: ClassVar[Operation] = OPERATION
    _requires_connection = False
    _supports_check_mode = True
    _supports_diff = True
    _supports_async = True

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> Result:
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        try:
            # Before the options are converted to JSON, in which a date that YAML has read becomes text.
            check_ids(self._task.args)
            check_texts(self._task.args, self.operation.options)
            check_values(self._task.args, self.operation.argument_spec())
        except ValueError as problem:
            return {**result, "changed": False, "failed": True, "msg": f"{problem}."}
        if self._belongs_elsewhere():
            wrap_async = bool(self._task.async_val) and not self._connection.has_native_async
            result.update(self._execute_module(task_vars=task_vars, wrap_async=wrap_async))
            if not wrap_async:
                self._remove_tmp_path(self._connection._shell.tmpdir)
            return result
        if REQUESTS_IMPORT_ERROR is not None:
            return {**result, "failed": True, "msg": missing_required_lib("requests")}
        return {**result, **self._run_here(task_vars)}

    def _run_here(self, task_vars: Mapping[str, Any]) -> Result:
        spec = self.operation.argument_spec()
        if self.operation.offline:
            # Also the report of a run that was refused because of its connection.
            spec |= optional_connection_spec()
        try:
            checked = ArgumentSpecValidator(spec, **self.operation.rules).validate(_as_json(self._task.args))
        except SettingsError as refused:  # An environment variable is invalid.
            return {"failed": True, "msg": f"{refused}."}
        params = checked.validated_parameters
        warnings: list[str] = []
        if checked.error_messages:
            result: Result = {"failed": True, "msg": _complaint(self._task.action.rpartition(".")[2], checked)}
        else:
            result = self._run_unless_key_is_refused(task_vars, params, warnings)
        if warnings:
            result["warnings"] = warnings
        return remove_values(result, secret_texts(params, spec))

    def _run_unless_key_is_refused(
        self, task_vars: Mapping[str, Any], params: dict[str, Any], warnings: list[str]
    ) -> Result:
        """The operation's result. The task is skipped without a call if the server has refused the key to another host.

        A later task of the host that failed fails too: it may be a retry, and a skip would look like a success. So
        does a task whose key is refused after it has changed something, since the state of its instance is unknown.
        """
        host = str(task_vars.get("inventory_hostname"))
        key = RefusedKey(params.get("api_url"), params.get("api_key"))
        failed_host = key.host
        if failed_host is not None and not self.operation.offline:
            return {"changed": False, "failed" if failed_host == host else "skipped": True, "msg": _NOT_TRIED}
        context = Context(
            params, check_mode=self._task.check_mode, host=_host_of(params, task_vars), warn=warnings.append
        )
        result = execute(self.operation, context, diff_mode=self._task.diff)
        refused = result.get("failed") and (result.get("error") or {}).get("kind") == "auth"
        if refused and not key.record(host) and not result["changed"] and not result.get("adopted"):
            return {"changed": False, "skipped": True, "msg": _NOT_TRIED}
        return result

    def _belongs_elsewhere(self) -> bool:
        """Whether the task uses a keyword that only an ordinary module supports."""
        if self._task.async_val or any(self._task.environment or []):
            return True
        return bool(self._task.delegate_to) and self._connection.transport != "local"


def _host_of(params: Mapping[str, Any], task_vars: Mapping[str, Any]) -> str:
    """The name of the task's host, if it is the instance of the option instance_id; otherwise empty.

    A template in the variable counts as another id. On this machine, the variable may be one of the play.
    """
    host, known = task_vars.get("inventory_hostname"), task_vars.get("fleetops_instance_id")
    if host in C.LOCALHOST or not isinstance(known, str) or not same_id(known, params.get("instance_id")):
        return ""
    return str(host)


def _as_json(options: Any) -> dict[str, Any]:
    """The options as an ordinary module gets them: converted to JSON and back, with a date as text."""
    return json.loads(json.dumps(_with_plain_keys(options), default=_text))


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


def _with_plain_keys(value: Any) -> Any:
    """A copy in which each key of a mapping is one that JSON can have, since json.dumps converts no other one."""
    if isinstance(value, Mapping):
        return {
            key if key is None or isinstance(key, (str, int, float)) else _text(key): _with_plain_keys(inner)
            for key, inner in value.items()
        }
    return [_with_plain_keys(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def _complaint(name: str, checked: Any) -> str:
    """The same message as that of an ordinary module for invalid parameters."""
    message = checked.errors.msg
    if isinstance(checked.errors[0], UnsupportedError):
        return f"Unsupported parameters for (fleetops.agents.{name}) module: {message}"
    return message
