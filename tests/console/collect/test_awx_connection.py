# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The connection to AWX: its settings, its certificate and its errors."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from console.collect.jobs.awx_client import AwxClient, awx_origin, load_awx
from console.settings.environment import ApiConnection, SettingsError
from tests.console.support.awx_jobs import load
from tests.console.support.certificates import self_signed
from tests.console.support.facts import dump
from tests.console.support.fake_awx import TOKEN, FakeAwx, recorded, running_awx


def test_errors_are_reported_in_one_sentence_each_and_the_next_sync_continues(awx: FakeAwx, database: Path) -> None:
    wrong = load(awx, database, api_key="wrong-canary-token")
    assert wrong.problems == [
        f"AWX {awx.url}: GET /api/v2/jobs/ failed with HTTP 401: Authentication credentials were not provided. To"
        " establish a login session, visit /api/login/. Check FLEETOPS_AWX_TOKEN: it is wrong, expired or revoked."
    ]
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nowhere = load(awx, database, api_url=f"http://127.0.0.1:{closed.getsockname()[1]}")
    assert len(nowhere.problems) == 1
    assert nowhere.problems[0].endswith("Check FLEETOPS_AWX_URL: the host name, the port, and the route to it.")
    awx.refusals = [("/api/v2/jobs/2/", 404, {}, recorded("http_404")), ("/api/v2/jobs/3/", 200, {}, "<p>Login</p>")]
    some = load(awx, database)
    assert [p.split(": ")[1] for p in some.problems] == [
        "GET /api/v2/jobs/2/ failed with HTTP 404",
        "GET /api/v2/jobs/3/ failed with HTTP 200",
    ]
    assert some.jobs == 1
    awx.events[2].insert(9, {"id": 1, "counter": 9, "event": None, "created": None})
    last = load(awx, database)
    assert (last.jobs, last.events) == (2, 26)
    assert last.problems == ["Job 2 of AWX: 1 record(s) are not events (it has no event name); the rest is stored."]
    assert "canary" not in str(dump(database))


@pytest.mark.parametrize(
    ("following", "reason"),
    [
        ("http://[x", "returned an invalid address of the next page for /jobs/: Invalid IPv6 URL."),
        ("/api/v2/jobs/?page=2", "was already read."),
    ],
)
def test_an_invalid_next_page_is_reported_in_one_sentence(
    awx: FakeAwx, database: Path, following: str, reason: str
) -> None:
    page = {"count": 9, "next": following, "results": [{"id": 77, "status": "running"}]}
    awx.refusals = [("/api/v2/jobs/?", 200, {}, page)] * 3
    (problem,) = load(awx, database).problems
    assert "for /jobs/" in problem and reason in problem


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1 and its key."""
    return self_signed(tmp_path_factory.mktemp("tls"))


def test_a_self_signed_certificate_is_refused_unless_its_authority_is_configured(
    certificate: tuple[Path, Path], database: Path
) -> None:
    with running_awx(certificate=certificate) as awx:
        refused = load(awx, database)
        assert awx.requests == []
        assert len(refused.problems) == 1
        assert "no trusted TLS connection" in refused.problems[0]
        assert refused.problems[0].endswith("or set FLEETOPS_AWX_CA_PATH to its CA certificate.")
        assert load(awx, database, ca_path=str(certificate[0])).jobs == 3


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "FLEETOPS_AWX_URL is not set"),
        ({"FLEETOPS_AWX_URL": "https://awx.example.com"}, "FLEETOPS_AWX_TOKEN is not set"),
        ({"FLEETOPS_AWX_URL": "awx.example.com", "FLEETOPS_AWX_TOKEN": "t0ken"}, "FLEETOPS_AWX_URL must look like"),
        ({"FLEETOPS_AWX_URL": "https://a:b@x", "FLEETOPS_AWX_TOKEN": "t0ken"}, "FLEETOPS_AWX_URL must not contain a"),
        # Python's message about the full-width colon contains the password.
        (
            {"FLEETOPS_AWX_URL": "https://a:b@x\uff1ay", "FLEETOPS_AWX_TOKEN": "t0ken"},
            "FLEETOPS_AWX_URL is not a valid",
        ),
        ({"FLEETOPS_AWX_URL": "https://x", "FLEETOPS_AWX_TOKEN": "t0ké☃"}, "FLEETOPS_AWX_TOKEN contains characters"),
        ({"FLEETOPS_AWX_URL": "https://x", "FLEETOPS_AWX_TOKEN": " t0ken"}, "FLEETOPS_AWX_TOKEN begins or ends with a"),
        (
            {"FLEETOPS_AWX_URL": "https://x", "FLEETOPS_AWX_TOKEN": "t", "FLEETOPS_AWX_CA_PATH": "/nowhere"},
            "FLEETOPS_AWX_CA_PATH is /nowhere, which does not exist.",
        ),
    ],
)
def test_invalid_settings_of_awx_are_refused(settings: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        AwxClient(load_awx(settings))
    assert str(caught.value).startswith(says)
    assert "a:b" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "origin", "path"),
    [
        ("https://awx.example.com", "https://awx.example.com", "/api/v2"),
        ("https://aap.example.com/api/controller/v2/", "https://aap.example.com", "/api/controller/v2"),
        ("https://awx.example.com/", "https://awx.example.com", "/api/v2"),
        ("https://awx.example.com/api/v2/", "https://awx.example.com", "/api/v2"),
        ("https://x.example.com/awx", "https://x.example.com/awx", "/awx/api/v2"),
        ("https://aap.example.com/api/controller", "https://aap.example.com", "/api/controller/v2"),
        ("HTTPS://API.Example.com:443/api/v2/", "https://api.example.com", "/api/v2"),
    ],
)
def test_the_address_of_awx_may_include_the_path_of_the_api(url: str, origin: str, path: str) -> None:
    client = AwxClient(ApiConnection(url, TOKEN))
    assert (client.origin, client._api) == (origin, path)
    assert awx_origin(url) == origin
    # reports/2026-11 D9
    page = "execution/jobs/playbook/7/output" if "controller" in url else "#/jobs/playbook/7"
    assert client.job_page(7) == f"{origin}/{page}"
