# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What a module is: a spec and a run. Runs one on plain parameters, or as an ordinary Ansible module.

Check mode and diff are decided here and nowhere else: a module changes something only through Context.write(), which
in check mode sends nothing, and the client of a check-mode run refuses every write besides.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

from ansible_collections.fleetops.agents.plugins.module_utils._client.client import (
    ApiError,
    FleetClient,
    SettingsError,
)
from ansible_collections.fleetops.agents.plugins.module_utils._client.paging import newest
from ansible_collections.fleetops.agents.plugins.module_utils._client.transport import REQUESTS_IMPORT_ERROR
from ansible_collections.fleetops.agents.plugins.module_utils._module.options import (
    Spec,
    check_ids,
    connection_spec,
    instance_spec,
    open_client,
    wait_spec,
)
from ansible_collections.fleetops.agents.plugins.module_utils._rules.answers import Record
from ansible_collections.fleetops.agents.plugins.module_utils._rules.ids import same_id
from ansible_collections.fleetops.agents.plugins.module_utils._rules.printable import (
    printable,
    printable_values,
)

Answer = TypeVar("Answer")
Result = dict[str, Any]


class OperationFailed(Exception):
    """A failure that is no failed call: ``facts`` are added to the result beside ``msg``."""

    def __init__(self, msg: str, **facts: Any) -> None:
        super().__init__(msg)
        self.facts = facts


class Context:
    """What a running operation has: parameters, the client, the clock, and the record of what it changed.

    ``result`` is filled as the operation learns things, so a failure carries the last known state.
    """

    def __init__(
        self,
        params: Mapping[str, Any],
        *,
        check_mode: bool = False,
        warn: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.params = dict(params)
        self.check_mode = check_mode
        self.clock, self.sleep = clock, sleep
        tell = warn or (lambda message: None)
        self.warn: Callable[[str], None] = lambda message: tell(printable(message))
        self.result: Result = {}
        self.changed = False
        self.diff: dict[str, Any] | None = None
        self._client: FleetClient | None = None
        self._said: set[str] = set()

    def warn_once(self, about: str, message: str) -> None:
        """Warn of a subject the first time only."""
        if about not in self._said:
            self._said.add(about)
            self.warn(message)

    @property
    def client(self) -> FleetClient:
        """The API; opened at first use, read-only in check mode."""
        if self._client is None:
            self._client = open_client(self.params.get, read_only=self.check_mode, on_repeat=self.warn)
        return self._client

    @property
    def trace(self) -> list[dict[str, Any]]:
        return self._client.trace if self._client is not None else []

    def write(self, send: Callable[[], Answer], *, before: Any, after: Any) -> Answer | None:
        """Change something: record ``before`` and ``after`` as the diff, then send - in check mode send nothing.

        Answers what ``send`` answers, None in check mode. ``changed`` stands once the server has answered, or when
        whether it carried the call out is unknown.
        """
        self.diff = {"before": before, "after": after}
        if self.check_mode:
            self.changed = True
            return None
        try:
            answer = send()
        except ApiError as error:
            self.changed = self.changed or error.ambiguous
            raise
        self.changed = True
        return answer

    def spell_as(self, answer: Mapping[str, Any]) -> None:
        """Send and show the instance's id as the server spells it in an answer, if that is the same id."""
        said = answer.get("instance_id")
        if isinstance(said, str) and same_id(said, self.params["instance_id"]):
            self.params["instance_id"] = said
            if "instance_id" in self.result:
                self.result["instance_id"] = said

    def fail(self, msg: str, **facts: Any) -> NoReturn:
        """Stop with a sentence; ``facts`` join the result."""
        raise OperationFailed(msg, **facts)

    def close(self) -> None:
        if self._client is not None:
            self._client.close()


@dataclass(frozen=True)
class Operation:
    """One module: its own options, which shared ones it takes, and what it does.

    ``run(context)`` fills ``context.result``; it raises ApiError or OperationFailed. ``wait_timeout`` in seconds makes
    it a waiting module. ``offline``: it has something to say without the server too, even after a refused key.
    ``verbatim``: the keys of its result that hold the server's texts as they are, because they are written back.
    """

    run: Callable[[Context], None]
    options: Spec = field(default_factory=dict)
    on_instance: bool = False
    wait_timeout: int | None = None
    offline: bool = False
    verbatim: frozenset[str] = frozenset()
    rules: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def argument_spec(self) -> Spec:
        """Every option: shared and own."""
        return {
            **connection_spec(),
            **(instance_spec() if self.on_instance else {}),
            **(wait_spec(self.wait_timeout) if self.wait_timeout is not None else {}),
            **self.options,
        }


def read_listing(
    context: Context, read_page: Callable[[int, int], list[Record]], page: int, times: Sequence[str]
) -> tuple[list[Record], bool, int | None]:
    """The rows that the options ``limit``, ``offset`` and ``all`` ask for, whether there are more, and their offset.

    ``times``: the keys of the rows' times, which tell whether the server lists the newest row first.
    """
    limit, offset = context.params["limit"], context.params["offset"]
    if limit < 1:
        context.fail(f"limit is {limit}: it must be 1 or more.")
    if offset < 0:
        context.fail(f"offset is {offset}: it must be 0 or more.")
    rows, truncated = newest(read_page, None if context.params["all"] else limit, page, offset, times)
    return rows, truncated, offset + len(rows) if truncated else None


def execute(operation: Operation, context: Context, *, diff_mode: bool = False) -> Result:
    """Run an operation to its result; every foreseen failure becomes ``failed`` with ``msg``, never an exception."""
    outcome: Result = {}
    try:
        _check_ids(context)
        if operation.wait_timeout is not None:
            _check_times(context)
        operation.run(context)
    except ApiError as error:
        outcome = {"failed": True, "msg": str(error), "error": error.as_dict()}
        if error.ambiguous:
            outcome["ambiguous"] = True
    except SettingsError as error:
        outcome = {"failed": True, "msg": f"{error}."}
    except OperationFailed as failure:
        outcome = {"failed": True, "msg": str(failure), **failure.facts}
    finally:
        context.close()
    result = {"changed": context.changed, **context.result, **outcome}
    if diff_mode and context.changed and context.diff is not None:
        result["diff"] = context.diff
    if context.params.get("api_trace"):
        result["api_calls"] = context.trace
    # Ansible sends what is in a result to the terminal as it is, or in JSON that escapes a part of it only.
    return {
        name: value if name in operation.verbatim and name not in outcome else printable_values(value)
        for name, value in result.items()
    }


def _check_ids(context: Context) -> None:
    try:
        check_ids(context.params)
    except ValueError as problem:
        context.fail(f"{problem}.")


def _check_times(context: Context) -> None:
    """Refuse times that cannot be waited: without a pause the server would be asked without end."""
    for name, value in context.params.items():
        if name.endswith("_interval") and not value > 0:
            context.fail(f"{name} is {value}: it must be above 0 seconds.")
        if (name.endswith("_timeout") or name in ("uncertain_grace", "healthy_reads")) and value < 0:
            context.fail(f"{name} is {value}: it must be 0 or more.")


def run_as_module(operation: Operation) -> None:
    """The main() of every module file: an ordinary Ansible module, wherever Ansible puts it."""
    from ansible.module_utils.basic import AnsibleModule, missing_required_lib

    spec = operation.argument_spec()
    try:
        module = AnsibleModule(argument_spec=spec, supports_check_mode=True, **operation.rules)
    except SettingsError as refused:
        # Of an environment variable. The same module without any demand can say so.
        undemanding = {name: {"type": "raw", "no_log": bool(entry.get("no_log"))} for name, entry in spec.items()}
        AnsibleModule(argument_spec=undemanding, supports_check_mode=True).fail_json(msg=f"{refused}.")
    if REQUESTS_IMPORT_ERROR is not None:
        module.fail_json(msg=missing_required_lib("requests"), exception=str(REQUESTS_IMPORT_ERROR))
    context = Context(module.params, check_mode=module.check_mode, warn=module.warn)
    result = execute(operation, context, diff_mode=module._diff)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)
