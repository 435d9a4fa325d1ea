# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""What a module consists of: its options and the function that runs it, as a task or as an ordinary Ansible module.

Only this file implements check mode and diff. A module changes something only through Context.write(), which sends
nothing in check mode. In addition, the client of a run in check mode refuses every write.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NoReturn, TypeVar

from .._client.client import ApiError, FleetClient, SettingsError
from .._client.paging import newest
from .._client.redact import MASK
from .._client.transport import REQUESTS_IMPORT_ERROR
from .._rules.answers import Record
from .._rules.ids import same_id
from .._rules.plain_values import problem_of_number
from .._rules.printable import printable, printable_values
from .options import (
    CONNECTION_OPTIONS,
    HEADERS_BY_VARIABLE,
    Spec,
    check_ids,
    check_values,
    connection_spec,
    from_environment,
    headers_by_variable,
    id_option,
    open_client,
    secret_texts,
    wait_spec,
)

Answer = TypeVar("Answer")
Result = dict[str, Any]


class OperationFailed(Exception):
    """A failure other than a failed call. ``facts``: return values in addition to ``msg``."""

    def __init__(self, msg: str, **facts: Any) -> None:
        super().__init__(msg)
        self.facts = facts


def facts_of(error: ApiError) -> Result:
    """The return values about a failed call, in addition to ``msg``."""
    return {"error": error.as_dict(), **({"ambiguous": True} if error.ambiguous else {})}


def not_verified(error: ApiError) -> str:
    """The message of a task that failed because of a read after the server had accepted its write."""
    return f"The server accepted the call, but what it did could not be verified: {error}"


class Context:
    """What a running operation uses: its parameters, the client, the clock, and its result.

    ``result`` is filled as the operation proceeds, so that a failure returns the last known state. ``changed`` and
    ``diff`` are set by ``write``. ``warn`` shows a warning. ``clock`` and ``sleep`` are in seconds. ``host``: the name
    of the inventory host that is the instance of the option instance_id; empty if that is not known.
    """

    def __init__(
        self,
        params: Mapping[str, Any],
        *,
        check_mode: bool = False,
        host: str = "",
        warn: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.params = dict(params)
        self.check_mode = check_mode
        self.host = host
        self.clock, self._sleep = clock, sleep
        self._parent = _parent_of(os.getpid())
        tell = warn or (lambda message: None)
        self.warn: Callable[[str], None] = lambda message: tell(printable(message))
        self.result: Result = {}
        self.changed = False
        self.diff: dict[str, Any] | None = None
        self._client: FleetClient | None = None
        self._said: set[str] = set()

    def warn_once(self, about: str, message: str) -> None:
        """Show a warning, but only the first one with the same subject ``about``."""
        if about not in self._said:
            self._said.add(about)
            self.warn(message)

    def _warn_of_repeat(self, message: str) -> None:
        """Warn of the first repeat of each call. A wait repeats a read for as long as the server is down."""
        self.warn_once(message.partition(": ")[0], message)

    def sleep(self, seconds: float) -> None:
        """Pause, then ``end_with_parent``."""
        self._sleep(seconds)
        self.end_with_parent()

    def end_with_parent(self) -> None:
        """End this process if the one that started it is gone, because a run that was killed must not continue."""
        # SystemExit is not an Exception: after one, a task may still read or send something.
        if os.getppid() != self._parent:
            raise SystemExit("The process that started this task is gone, so the task ends.")

    @property
    def instance(self) -> str:
        """The instance of the option instance_id in a message: the name of its host, or else its id."""
        return self.host or f"instance {self.params['instance_id']}"

    @property
    def instance_first(self) -> str:
        """The same at the beginning of a sentence."""
        return self.host or f"Instance {self.params['instance_id']}"

    @property
    def client(self) -> FleetClient:
        """The client of the API, created at its first use. Read-only in check mode. Raises SettingsError."""
        if self._client is None:
            self._client = open_client(
                self.params.get,
                read_only=self.check_mode,
                on_repeat=self._warn_of_repeat,
                before_send=self.end_with_parent,
            )
        return self._client

    @property
    def trace(self) -> list[dict[str, Any]]:
        return self._client.trace if self._client is not None else []

    def write(self, send: Callable[[], Answer], *, before: Any, after: Any) -> Answer | None:
        """Change something: record ``before`` and ``after`` as the diff, then call ``send``, but not in check mode.

        Returns what ``send`` returns, or None in check mode. ``changed`` is set if ``send`` returns, in check mode, and
        if it is unknown whether the server has carried out the call. What ``send`` raises goes to the caller.
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

    def use_spelling_of(self, answer: Mapping[str, Any]) -> None:
        """Use the instance's id in the server's spelling from now on, if ``answer`` contains the same id."""
        said = answer.get("instance_id")
        if isinstance(said, str) and same_id(said, self.params["instance_id"]):
            self.params["instance_id"] = said
            if "instance_id" in self.result:
                self.result["instance_id"] = said

    def fail(self, msg: str, **facts: Any) -> NoReturn:
        """Fail with the message ``msg``. ``facts``: further return values. Raises OperationFailed."""
        raise OperationFailed(msg, **facts)

    def close(self) -> None:
        if self._client is not None:
            self._client.close()


@cache
def _parent_of(_pid: int) -> int:
    """The process that started this one. Determined once, because one process runs all items of a loop."""
    return os.getppid()


@dataclass(frozen=True)
class Operation:
    """One module: what it does, its own options, and which shared options it has.

    ``run(context)`` fills ``context.result``; it raises ApiError, OperationFailed or SettingsError. ``on_instance``: it
    has the option instance_id. ``wait_timeout``: it has the options for waiting, with this default in seconds.
    ``offline``: it is of use without the server, so it also runs after the key was refused. ``verbatim``: return values
    whose texts are not made printable, because they may be written back. ``rules``: arguments of AnsibleModule such as
    ``mutually_exclusive``.
    """

    run: Callable[[Context], None]
    options: Spec = field(default_factory=dict)
    on_instance: bool = False
    wait_timeout: int | None = None
    offline: bool = False
    verbatim: frozenset[str] = frozenset()
    rules: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def argument_spec(self) -> Spec:
        """All options of the module, shared ones and its own."""
        return {
            **connection_spec(),
            **({"instance_id": id_option(required=True)} if self.on_instance else {}),
            **(wait_spec(self.wait_timeout) if self.wait_timeout is not None else {}),
            **self.options,
        }


def read_listing(
    context: Context, read_page: Callable[[int, int], list[Record]], page: int, times: Sequence[str]
) -> tuple[list[Record], bool, int | None]:
    """The rows for the options ``limit``, ``offset`` and ``all``, whether there are more, and the offset of these.

    ``read_page(limit, offset)`` reads one page, of at most ``page`` rows. ``times``: the keys of the rows' times, which
    show whether the server lists the newest row first.
    """
    limit, offset = context.params["limit"], context.params["offset"]
    if limit < 1:
        context.fail(f"limit is {limit}: it must be 1 or more.")
    if offset < 0:
        context.fail(f"offset is {offset}: it must be 0 or more.")
    rows, truncated = newest(read_page, None if context.params["all"] else limit, page, offset, times)
    return rows, truncated, offset + len(rows) if truncated else None


def execute(operation: Operation, context: Context, *, diff_mode: bool = False) -> Result:
    """Run an operation and return its result. An expected failure is a result with ``failed`` and ``msg``."""
    outcome: Result = {}
    try:
        _check_types(context, operation)
        _check_numbers(context)
        operation.run(context)
    except ApiError as error:
        is_after_write = context.changed and not context.check_mode and error.method == "GET"
        outcome = {"failed": True, "msg": not_verified(error) if is_after_write else str(error), **facts_of(error)}
    except SettingsError as error:
        outcome = {"failed": True, "msg": f"{error}."}
    except OperationFailed as failure:
        outcome = {"failed": True, "msg": str(failure), **failure.facts}
    except BaseException as stopped:
        # Apart from these, it is the task's keyword timeout. Ansible's own result would say that nothing was changed.
        is_timeout = not isinstance(stopped, (Exception, SystemExit, KeyboardInterrupt))
        if not is_timeout or context.check_mode or not context.changed:
            raise
        said = "The server accepted the call before that, but what it did was not verified."
        outcome = {"failed": True, "msg": f"The task was ended by its keyword timeout. {said}"}
    finally:
        context.close()
    if operation.on_instance and _is_gone(context, outcome):
        outcome["msg"] += (
            " The server knew it when this task began, so the instance has been removed since. Read the inventory anew "
            "(--flush-cache), and continue without it."
        )
    result = {"changed": context.changed, **context.result, **outcome}
    if diff_mode and context.changed and context.diff is not None:
        result["diff"] = context.diff
    if context.params.get("api_trace"):
        result["api_calls"] = context.trace
    # Ansible shows the texts of a result on the terminal unchanged, or as JSON, which escapes only some characters.
    return {
        name: value if name in operation.verbatim and name not in outcome else printable_values(value)
        for name, value in result.items()
    }


def _is_gone(context: Context, outcome: Mapping[str, Any]) -> bool:
    """Whether the task failed because the server answered a call about the instance before, and now with 404."""
    error = outcome.get("error", {})
    if error.get("kind") != "not_found" or context.params["instance_id"] not in error["path"]:
        return False
    return any(row.get("status") == 200 and row["path"] == error["path"] for row in context.trace)


def _check_types(context: Context, operation: Operation) -> None:
    try:
        check_ids(context.params)
        check_values(context.params, operation.argument_spec())
    except ValueError as problem:
        context.fail(f"{problem}.")


def _check_numbers(context: Context) -> None:
    for name, value in context.params.items():
        if problem := problem_of_number(name, value):
            variable = f" (FLEETOPS_{name.upper()})" if name in CONNECTION_OPTIONS else ""
            context.fail(f"{name}{variable} {problem}.")


def run_as_module(operation: Operation) -> None:
    """Run an operation as an ordinary Ansible module, on whatever host. Each module's main() calls this."""
    from ansible.module_utils.basic import AnsibleModule, missing_required_lib

    spec = operation.argument_spec()
    # For invalid options, Ansible ends here and shows all options, so the headers in the variable are not among them.
    spec["extra_headers"]["fallback"] = (headers_by_variable,)
    try:
        module = AnsibleModule(argument_spec=spec, supports_check_mode=True, **operation.rules)
        if module.params["extra_headers"] == HEADERS_BY_VARIABLE:
            module.params["extra_headers"] = json.loads(from_environment("extra_headers"))
    except SettingsError as refused:
        # An environment variable is invalid. A module with the same options, but no requirements, can report that.
        undemanding = {name: {"type": "raw", "no_log": bool(entry.get("no_log"))} for name, entry in spec.items()}
        AnsibleModule(argument_spec=undemanding, supports_check_mode=True).fail_json(msg=f"{refused}.")
    if REQUESTS_IMPORT_ERROR is not None:
        module.fail_json(msg=missing_required_lib("requests"), exception=str(REQUESTS_IMPORT_ERROR))
    context = Context(module.params, check_mode=module.check_mode, warn=module.warn)
    # Ansible would mask the value of each header in the whole result, and not only in the options that it shows.
    module.no_log_values = secret_texts(module.params, spec)
    module.params["extra_headers"] = MASK
    result = execute(operation, context, diff_mode=module._diff)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)
