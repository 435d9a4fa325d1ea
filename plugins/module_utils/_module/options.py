# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The options that modules and plugins share: their argument specs, environment variables, and the client from them.

Their documentation is in doc_fragments; a test compares both.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any

from ansible.module_utils.errors import AnsibleFallbackNotFound

from .._client.client import FleetClient, connect
from .._client.redact import header_secrets, spellings
from .._client.settings import headers_of
from .._rules.ids import require_text
from .._rules.memory import SCOPE
from .._rules.plain_values import SettingsError, boolean, is_blank, mapping, number

Spec = dict[str, dict[str, Any]]

ENVIRONMENT = {
    "api_url": "FLEETOPS_API_URL",
    "api_key": "FLEETOPS_API_KEY",
    "validate_certs": "FLEETOPS_VALIDATE_CERTS",
    "ca_path": "FLEETOPS_CA_PATH",
    "request_timeout": "FLEETOPS_REQUEST_TIMEOUT",
    "retries": "FLEETOPS_RETRIES",
    "extra_headers": "FLEETOPS_EXTRA_HEADERS",
    "api_trace": "FLEETOPS_API_TRACE",
}

# In the options that Ansible shows, this stands for the headers in the variable.
HEADERS_BY_VARIABLE = {ENVIRONMENT["extra_headers"]: ""}

_CONNECTION: Spec = {
    "api_url": {"type": "str", "required": True},
    "api_key": {"type": "str", "required": True, "no_log": True},
    "validate_certs": {"type": "bool", "default": True},
    "ca_path": {"type": "path"},
    "request_timeout": {"type": "float", "default": 30},
    "retries": {"type": "int", "default": 3},
    "extra_headers": {"type": "dict", "default": {}, "no_log": True},
    "api_trace": {"type": "bool", "default": False},
}

CONNECTION_OPTIONS = tuple(_CONNECTION)

# The options of a module that reads a long list.
LISTING_OPTIONS: Spec = {
    "limit": {"type": "int", "default": 20},
    "offset": {"type": "int", "default": 0},
    "all": {"type": "bool", "default": False},
}
# The option of a module that makes calls for many instances.
WORKERS_OPTION: Spec = {"workers": {"type": "int", "default": 8}}
# The options that the plan of a rolling run and its gate have in common. Times are in seconds.
ROLLING_OPTIONS: Spec = {
    "window_margin": {"type": "float", "default": 300},
    "freezes": {"type": "raw"},
    "defer_busy": {"type": "float", "default": 0},
}


def connection_spec() -> Spec:
    """The connection options of every module, with their environment variables as fallbacks."""
    return {
        name: {**entry, **({"fallback": (from_environment, [name])} if name in ENVIRONMENT else {})}
        for name, entry in _CONNECTION.items()
    }


def from_environment(option: str) -> Any:
    """The value of an option from its environment variable. An empty one counts as not set. Raises SettingsError."""
    variable, kind = ENVIRONMENT[option], _CONNECTION[option]["type"]
    value = os.environ.get(variable)
    if is_blank(value):
        if _CONNECTION[option].get("required"):
            raise SettingsError(f"{option} is not set: set it, or {variable} in the environment")
        raise AnsibleFallbackNotFound
    if kind == "bool":
        return boolean(variable, value)
    if kind == "dict":
        # Ansible keeps the fallback of a secret option in a set, so it must be text, which is then converted.
        return json.dumps(mapping(variable, value))
    return number(variable, value, whole=kind == "int") if kind in ("int", "float") else value


def optional_connection_spec() -> Spec:
    """The same options for a task that may make no call. What is missing or invalid in the environment is not set."""
    return {
        name: {**entry, "required": False, "fallback": (_from_valid_environment, [name])}
        for name, entry in _CONNECTION.items()
    }


def _from_valid_environment(option: str) -> Any:
    try:
        return from_environment(option)
    except SettingsError:
        raise AnsibleFallbackNotFound from None


def headers_by_variable() -> str:
    """If FLEETOPS_EXTRA_HEADERS is set, its name in place of the headers, as JSON. Raises SettingsError."""
    from_environment("extra_headers")
    return json.dumps(HEADERS_BY_VARIABLE)


# The options that contain an id, and a mapping of names to ids.
_IDS = ("instance_id", "rollout_id", "target_id", "action_id", *SCOPE)
# Options with free text. YAML reads 0755 as the number 493, which Ansible would convert to other text.
_TEXTS = ("content", "kind", "change", "override_reason", "plan_hash")
# Options that select rows by one of their texts.
_FILTERS = ("action", "outcome", "source", "status", "tool_name")
_ID_MAPS = ("instances", "inventory", "next_batch", "waiting", "updated")


def id_option(*, required: bool = False) -> dict[str, Any]:
    """An option that holds an id. With the type str, Ansible would convert a number that YAML has read to text."""
    return {"type": "raw", "required": True} if required else {"type": "raw"}


def check_ids(options: Mapping[str, Any]) -> None:
    """Refuse ids that are empty or not text, in the options of any module. Raises ValueError with a sentence.

    The action plugin checks the ids before the options are converted to JSON, in which a date becomes text. The module
    checks them again, because it can be run without that plugin.
    """
    given = [(name, options.get(name)) for name in _IDS if options.get(name) is not None]
    if isinstance(outdated := options.get("only_if_outdated"), (list, tuple)):
        given += [("only_if_outdated", value) for value in outdated]
    for name, value in given:
        # An empty id is not left out: without rollout_id, the module rollout would act on the rollout in progress.
        if value is None or not require_text(value, name).strip():
            raise ValueError(f"{name} is empty: give an id, or leave out an option that is not required (omit)")
    for name in _ID_MAPS:
        if isinstance(options.get(name), Mapping):
            for key, value in options[name].items():
                if value is not None:
                    require_text(value, str(key), of=name)
    memory = options.get("memory")
    # A memory that has an id itself comes from the server, which may use other types.
    if isinstance(memory, Mapping) and memory.get("id") is None:
        for key in SCOPE:
            if memory.get(key) is not None:
                require_text(memory[key], key, of="memory")


def check_texts(options: Mapping[str, Any], spec: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse values of _TEXTS that are not text, before Ansible converts them. Raises ValueError.

    ``spec``: the options of the module, since a name can have another meaning in another module.
    """
    for name in _TEXTS:
        if options.get(name) is not None and spec.get(name, {}).get("type") == "str":
            require_text(options[name], name)


def check_values(options: Mapping[str, Any], spec: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse booleans as numbers, empty filters, and records that are not mappings. Raises ValueError with a sentence.

    Ansible would convert a boolean to 1 or 0. An empty filter would select nothing. For such a record, Ansible ends
    with a Python error that does not name the option. ``spec``: the options of the module.
    """
    for name, entry in spec.items():
        value = options.get(name)
        if value is None:
            continue
        texts = value if isinstance(value, (list, tuple)) else [value]
        if name in _FILTERS and entry.get("type") == "list" and any(map(is_blank, texts)):
            raise ValueError(f"{name} contains an empty text: name what to select, or leave it out (omit)")
        if entry.get("options") and not isinstance(value, (Mapping, str)):
            raise ValueError(f"{name} must be a mapping, but it is {value!r}")
        if entry.get("type") in ("int", "float") and isinstance(value, bool):
            raise ValueError(
                f"{name} must be a number, but it is the boolean {value}. In YAML, yes, no, on and off are booleans too"
            )
        if isinstance(value, Mapping):
            check_values(value, entry.get("options") or {})


def secret_texts(params: Mapping[str, Any], spec: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """The texts in the options that must not appear in a result. ``spec``: the options of the module."""
    secrets = {name: params.get(name) for name, entry in spec.items() if entry.get("no_log") and params.get(name)}
    headers = secrets.pop("extra_headers", None)
    texts = {str(name): str(value) for name, value in headers.items()} if isinstance(headers, Mapping) else {}
    hidden = {str(value) for value in secrets.values()} | header_secrets(texts)
    return {spelling for secret in hidden for spelling in spellings(secret)}


def wait_spec(default_timeout: int) -> Spec:
    """The options of a module that waits. Times are in seconds."""
    return {
        "wait": {"type": "bool", "default": True},
        "wait_timeout": {"type": "int", "default": default_timeout},
        "wait_interval": {"type": "float", "default": 2},
    }


def open_client(
    option: Callable[[str], Any],
    *,
    read_only: bool = False,
    on_repeat: Callable[[str], None] | None = None,
    before_send: Callable[[], None] | None = None,
) -> FleetClient:
    """A client from the shared options. ``option(name)``: the value of an option (params.get, or get_option).

    Raises SettingsError with a sentence for invalid values.
    """
    return connect(
        api_url=option("api_url"),
        api_key=option("api_key"),
        # Converted again here: a value that is not a boolean must never disable the check of certificates.
        validate_certs=is_blank(option("validate_certs")) or boolean("validate_certs", option("validate_certs")),
        ca_path=option("ca_path"),
        request_timeout=option("request_timeout"),
        retries=option("retries"),
        headers=headers_of("extra_headers", option("extra_headers") or {}),
        read_only=read_only,
        on_repeat=on_repeat,
        before_send=before_send,
    )
