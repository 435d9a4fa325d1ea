# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The console's settings, read from the environment once and checked there.

console/README.md lists the variables. A wrong value raises SettingsError, one sentence with the name of the variable; a
key is never shown.
"""

from __future__ import annotations

import importlib
import os
import shlex
import stat
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from io import UnsupportedOperation
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from ansible_collections.fleetops.agents.plugins.module_utils._client.settings import headers_of
from ansible_collections.fleetops.agents.plugins.module_utils._rules import plain_values
from ansible_collections.fleetops.agents.plugins.module_utils._steps.state_folder import state_folder

T = TypeVar("T")


class SettingsError(Exception):
    """A setting is missing or wrong. The message is one sentence for people."""


class NotSetError(SettingsError):
    """The API's address or its key is missing."""


@dataclass(frozen=True)
class Settings:
    """Where the console reads and writes. A default path need not exist; a configured one must."""

    database: Path
    run_log_dir: Path
    run_log_dir_is_default: bool = False
    remove_loaded: bool = False


@dataclass(frozen=True)
class ApiConnection:
    """How sync reaches the API or AWX. The address and the key are checked by the client itself."""

    api_url: str
    api_key: str = field(repr=False)
    validate_certs: bool = True
    ca_path: str | None = None
    request_timeout: float = 30.0
    retries: int = 3
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def load_settings(
    environ: Mapping[str, str] | None = None, *, database: str | None = None, run_log_dir: str | None = None
) -> Settings:
    """The settings; ``database`` and ``run_log_dir`` take precedence over the environment. Raises SettingsError."""
    env = os.environ if environ is None else environ
    named_database = database or text_of(env, "FLEETOPS_CONSOLE_DB")
    named_log_dir = run_log_dir or text_of(env, "FLEETOPS_RUN_LOG_DIR")
    return Settings(
        database=path_of(named_database) if named_database else _in_state_folder(env, "console.db"),
        run_log_dir=path_of(named_log_dir) if named_log_dir else _in_state_folder(env, "runs"),
        run_log_dir_is_default=not named_log_dir,
        remove_loaded=checked(env, "FLEETOPS_CONSOLE_REMOVE_SPOOLS", plain_values.boolean, False),
    )


def is_default(database: Path) -> bool:
    """Whether this is the database that is used if none is specified."""
    with suppress(SettingsError):
        return not text_of(os.environ, "FLEETOPS_CONSOLE_DB") and load_settings().database == database
    return False


def load_api(environ: Mapping[str, str] | None = None, *, key_may: str = "read") -> ApiConnection:
    """The connection to the API. ``key_may``: what the key must allow ("read" or "act"), for the error message.
    Raises SettingsError, and NotSetError if the address or the key is not set."""
    env = os.environ if environ is None else environ
    # The blanks around the key are kept, so that the client refuses them, as in the modules.
    url, key = text_of(env, "FLEETOPS_API_URL"), env.get("FLEETOPS_API_KEY", "")
    if url is None:
        raise NotSetError("FLEETOPS_API_URL is not set: set it to the API's address.")
    if not key.strip():
        raise NotSetError(f"FLEETOPS_API_KEY is not set: set it to a key that may {key_may}.")
    ca_path = text_of(env, "FLEETOPS_CA_PATH")
    if ca_path:
        authority("FLEETOPS_CA_PATH", ca_path)
    return ApiConnection(
        api_url=url,
        api_key=key,
        validate_certs=checked(env, "FLEETOPS_VALIDATE_CERTS", plain_values.boolean, True),
        ca_path=ca_path,
        request_timeout=checked(env, "FLEETOPS_REQUEST_TIMEOUT", partial(plain_values.number, least=0.1), 30.0),
        retries=int(checked(env, "FLEETOPS_RETRIES", partial(plain_values.number, least=0, whole=True), 3.0)),
        headers=checked(env, "FLEETOPS_EXTRA_HEADERS", headers_of, {}),
    )


def of_variable(error: plain_values.SettingsError, variables: Mapping[str, str]) -> SettingsError:
    """The error of an invalid setting, with the name of its environment variable from ``variables``."""
    name = variables.get(error.setting)
    return SettingsError(f"{name} {error.problem}." if name else f"{error}.")


def path_of(text: str) -> Path:
    """The path in a setting or an argument. Raises SettingsError if it is blank, if its home folder (``~name``) is
    unknown, or if it is a link that leads back to itself."""
    if not text.strip():
        raise SettingsError("The path of a file or folder is blank.")
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        raise SettingsError(f"The home folder in {text} is not known; write the path in full.") from None
    try:
        path.resolve()
    except RuntimeError:
        # From Python 3.13 on, the link cannot be opened instead.
        raise SettingsError(f"{text} is a link that leads back to itself.") from None
    return path


def open_regular(file: Path) -> BinaryIO:
    """Open a regular file to read. Raises OSError. For a device or a pipe, whose reading may never end, the error is
    also a ValueError."""
    # Otherwise opening a pipe would wait for its writer.
    opened = open(file, "rb", opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK))  # noqa: SIM115
    if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
        opened.close()
        raise UnsupportedOperation("it is a device, a pipe or a socket")
    return opened


def authority(variable: str, text: str) -> Path:
    """The file or folder of certificates in a variable. Raises SettingsError if it does not exist or cannot be read."""
    path = path_of(text)
    try:
        is_there = path.exists()
    except OSError as error:
        raise SettingsError(f"{variable} is {text}, which cannot be read: {error.strerror or error}.") from None
    if not is_there:
        raise SettingsError(f"{variable} is {text}, which does not exist.")
    return path


def optional_package(name: str, needed_by: str) -> Any:
    """Import a Python package that only some features need. ``needed_by``: the beginning of the message if it is
    missing, such as "The login needs". Raises SettingsError."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as missing:
        if missing.name != name:
            raise
        raise SettingsError(
            f"{needed_by} the Python package {name}, which is missing. Install it:"
            f" {shlex.quote(sys.executable)} -m pip install {name}"
        ) from None


def _in_state_folder(env: Mapping[str, str], name: str) -> Path:
    # The run log uses the same folder.
    try:
        return state_folder(env, name)
    except RuntimeError as problem:
        hint = "Set FLEETOPS_CONSOLE_DB and FLEETOPS_RUN_LOG_DIR."
        raise SettingsError(f"The default folder cannot be used: {problem}. {hint}") from None


def text_of(env: Mapping[str, str], name: str) -> str | None:
    return env.get(name, "").strip() or None


def checked(env: Mapping[str, str], name: str, check: Callable[[str, str], T], default: T) -> T:
    """The value of a variable by a check of plain_values, or ``default`` if it is not set. Raises SettingsError."""
    text = text_of(env, name)
    try:
        return default if text is None else check(name, text)
    except plain_values.SettingsError as error:
        raise SettingsError(f"{error}.") from None
