# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The messages about a Python that is too old and about a missing requests, and failures of an older urllib3."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
import urllib3

from ansible_collections.fleetops.agents.plugins.module_utils._client import transport
from ansible_collections.fleetops.agents.plugins.module_utils._client.client import connect
from ansible_collections.fleetops.agents.plugins.plugin_utils._event_source.api import Api
from ansible_collections.fleetops.agents.plugins.plugin_utils._event_source.errors import SourceError
from ansible_collections.fleetops.agents.plugins.plugin_utils._event_source.settings import read_settings
from ansible_collections.fleetops.agents.plugins.plugin_utils._lookups.policy import PolicyError, update_policy

MODULES = sorted(path.stem for path in (Path(__file__).resolve().parents[3] / "plugins" / "modules").glob("*.py"))
# Imports each module for the first time, in what claims to be Python 3.10.
IN_PYTHON_3_10 = """
import datetime, importlib, sys
sys.version_info = (3, 10, 13, "final", 0)
del datetime.UTC
for name in sys.argv[1:]:
    try:
        importlib.import_module(f"ansible_collections.fleetops.agents.plugins.modules.{name}")
    except SystemExit as end:
        assert end.code == 1, end.code
    for loaded in [loaded for loaded in sys.modules if loaded.startswith("ansible_collections.")]:
        del sys.modules[loaded]
"""


def test_every_module_names_the_python_that_is_too_old() -> None:
    done = subprocess.run([sys.executable, "-c", IN_PYTHON_3_10, *MODULES], capture_output=True, text=True, check=False)
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.stderr, len(results)) == ("", len(MODULES))
    for result in results:
        assert result["failed"]
        assert result["msg"].startswith("The modules of fleetops.agents need Python 3.11 or newer, but")
        assert all(
            text in result["msg"] for text in (sys.executable, "is Python 3.10.13.", "Set ansible_python_interpreter")
        )


SETTINGS = {"api_url": "http://127.0.0.1:9", "api_key": "x"}
OPTIONS = {**SETTINGS, "request_timeout": 30, "retries": 0}


@pytest.mark.parametrize(
    ("use", "failure", "begins"),
    [
        (lambda: connect(**SETTINGS), ImportError, ""),
        (lambda: Api(read_settings(SETTINGS, {})), SourceError, ""),
        (lambda: update_policy(OPTIONS.get), PolicyError, "The update policy cannot be read: "),
    ],
)
def test_a_missing_requests_is_reported_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, use: Callable[[], object], failure: type[Exception], begins: str
) -> None:
    monkeypatch.setattr(transport, "REQUESTS_IMPORT_ERROR", ImportError("No module named 'requests'"))
    monkeypatch.setattr(sys, "executable", "/opt/my venv/bin/python")
    with pytest.raises(failure) as raised:
        use()
    assert str(raised.value) == (
        f"{begins}The Python library requests cannot be imported (No module named 'requests'). Install it with "
        "'/opt/my venv/bin/python' -m pip install requests"
    )


@pytest.mark.parametrize(
    ("cause", "reason", "kind"),
    [
        (
            socket.gaierror(-2, "Name or service not known"),
            urllib3.exceptions.NewConnectionError(None, "Failed to establish a new connection"),  # type: ignore[arg-type]
            "unreachable",
        ),
        (
            urllib3.connection.CertificateError("hostname 'a' doesn't match 'b'"),
            urllib3.exceptions.SSLError("hostname 'a' doesn't match 'b'"),
            "tls",
        ),
    ],
)
def test_a_failed_connection_of_urllib3_1_26_counts_as_not_sent(
    monkeypatch: pytest.MonkeyPatch, cause: Exception, reason: Exception, kind: str
) -> None:
    # requests also accepts urllib3 1.26, which does not have this exception.
    monkeypatch.delattr(urllib3.exceptions, "NameResolutionError")
    reason.__context__ = cause
    failure = requests.exceptions.ConnectionError(urllib3.exceptions.MaxRetryError(None, "/", reason))  # type: ignore[arg-type]
    outcome, found, _detail = transport.reading_of(failure)
    assert (outcome is transport.AttemptOutcome.UNKNOWN, found) == (False, kind)
