# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the client connects: its proxy, its certificates, its deadline, its pauses, and the path of the API."""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from ansible_collections.fleetops.agents.plugins.module_utils._client.client import SettingsError
from ansible_collections.fleetops.agents.plugins.module_utils._client.endpoints import pause_before_repeat
from ansible_collections.fleetops.agents.plugins.module_utils._client.pool import HOPELESS, in_pool
from ansible_collections.fleetops.agents.plugins.module_utils._client.proxies import proxy_for
from tests.second_api.api import second_api
from tests.unit.client.client_for import ONE, client_for, failure
from tests.unit.client.crooked_server import CrookedServer, Reply, crooked_server

PROXIES = [f"{scheme}_proxy" for scheme in ("http", "https", "all", "no")]


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


# The deadline: reports/2026-11 E1


@pytest.mark.parametrize("part", ["drip", "drip_head"])
def test_a_server_that_answers_byte_by_byte_is_abandoned_at_the_time_limit(part: str) -> None:
    with second_api(instances=1, **{part: {"*": 0.2}}) as api:
        started = time.monotonic()
        error = failure(client_for(api.url, request_timeout=1), "get_fleet_update_policy")
        assert 1 <= time.monotonic() - started < 5
    assert (error.kind, error.ambiguous) == ("timeout", False)
    assert "no complete answer within the time limit of 1 s" in str(error)


def test_a_write_whose_answer_arrives_byte_by_byte_is_sent_once_and_its_outcome_is_unknown() -> None:
    with second_api(instances=1, drip={"*": 0.2}) as api:
        client = client_for(api.url, request_timeout=1, retries=3)
        error = failure(client, "redeploy_runtime", api.instances[0].id)
        assert api.writes() == ["redeploy_runtime"]
    assert (error.kind, error.ambiguous) == ("timeout", True)


def test_a_slow_answer_within_the_time_limit_is_accepted_and_the_connection_is_reused() -> None:
    with second_api(instances=1, drip={"get_fleet_update_policy": 0.002}) as api:
        client = client_for(api.url, request_timeout=20)
        policies = [client.get_fleet_update_policy() for _time in range(3)]
        assert [policy["max_parallel_rollouts"] for policy in policies] == [2, 2, 2]


# The pauses: reports/2026-11 E2


@pytest.mark.parametrize("asked", ["0", "-5", "0.0", "Thu, 01 Jan 1970 00:00:00 GMT"])
@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_asks_for_no_pause_gets_the_usual_one(asked: str, status: int) -> None:
    pauses: list[float] = []
    with second_api(instances=1, status={"get_fleet_update_policy": status}, headers={"Retry-After": asked}) as api:
        failure(client_for(api.url, retries=3, pauses=pauses), "get_fleet_update_policy")
    assert pauses == [0.25, 0.5, 1.0]


def test_no_pause_is_shorter_than_the_usual_one() -> None:
    for attempt in range(1, 40):
        for jitter in (0.0, 0.5, 1.0):
            ordinary = pause_before_repeat(attempt, None, jitter)
            for asked in (0.0, 0.1, 0.5, 7.0, 120.0):
                assert pause_before_repeat(attempt, asked, jitter) >= max(ordinary, asked)


# Certificates: reports/2026-11 E3


def _no_certificates(folder: Path) -> dict[str, Path]:
    paths = {name: folder / name for name in ("empty.pem", "text.pem", "broken.pem", "missing.pem", "folder", "pipe")}
    paths["empty.pem"].touch()
    paths["text.pem"].write_text("no certificate is here\n")
    paths["broken.pem"].write_text("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
    paths["folder"].mkdir()
    (paths["folder"] / "company.pem").write_text("not under its hash")
    os.mkfifo(paths["pipe"])
    return paths


@pytest.mark.parametrize("name", ["empty.pem", "text.pem", "broken.pem", "missing.pem", "folder", "pipe"])
@pytest.mark.parametrize("by", ["ca_path", "REQUESTS_CA_BUNDLE"])
def test_a_ca_path_without_a_certificate_means_that_nothing_was_sent(
    name: str, by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(_no_certificates(tmp_path)[name])
    settings = {"ca_path": path} if by == "ca_path" else {}
    if by != "ca_path":
        monkeypatch.setenv(by, path)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(0.1)
        client = client_for(f"https://127.0.0.1:{silent.getsockname()[1]}", retries=3, **settings)
        error = failure(client, "redeploy_runtime", ONE)
        with pytest.raises(TimeoutError):
            silent.accept()
    assert (error.kind, error.ambiguous, error.attempts) == ("tls", False, 1)
    assert f"{by} {path}" in str(error) and "This call was not sent" in str(error)


def test_a_ca_path_is_not_needed_without_tls(tmp_path: Path) -> None:
    with second_api(instances=1) as api:
        client = client_for(api.url, ca_path=str(_no_certificates(tmp_path)["text.pem"]))
        assert client.get_fleet_update_policy()["max_parallel_rollouts"] == 2


def test_after_a_failure_to_connect_nothing_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: Any, **_more: Any) -> ssl.SSLContext:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("urllib3.connection.create_urllib3_context", refuse)
    error = failure(client_for("https://127.0.0.1:1", validate_certs=False), "redeploy_runtime", ONE)
    assert not error.ambiguous and "This call was not sent" in str(error)


# The path: reports/2026-11 E4


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("get_available_updates", (ONE,)),
        ("redeploy_runtime", (ONE,)),
        ("list_fleet_rollouts", ()),
        ("get_fleet_update_policy", ()),
    ],
)
def test_404_for_every_call_says_that_the_path_may_be_wrong(name: str, arguments: tuple[str, ...]) -> None:
    with second_api(instances=1, base_path="/fleet-api") as api:
        for url in (api.url, api.url + "/fleet"):
            error = failure(client_for(url), name, *arguments)
            assert "The path in api_url (FLEETOPS_API_URL) may be wrong" in str(error)
            assert "id is unknown" not in str(error) and not error.ambiguous
            assert error.kind == ("not_found" if name == "get_fleet_update_policy" else "wrong_path")
        assert api.writes() == []


@pytest.mark.parametrize("probe", [{"status": 404}, {"body": b"<html>Welcome</html>"}, {"status": 302}])
def test_a_web_page_or_a_redirect_instead_of_the_api_says_that_the_path_may_be_wrong(probe: dict[str, Any]) -> None:
    with crooked_server() as server:
        server.says({"detail": "Not Found"}, 404)
        first = server.answer

        def answer(method: str, path: str, headers: Any) -> Any:
            reply = first(method, path, headers)
            if path.endswith("/updates/policy"):
                server.says(**{"body": {}, **probe})
                return server.answer(method, path, headers)
            return reply

        server.answer = answer
        assert failure(client_for(server.url), "get_available_updates", ONE).kind == "wrong_path"


@pytest.mark.parametrize("body", [b"404 page not found", b""])
def test_404_of_a_proxy_while_the_api_is_away_is_not_about_the_id(body: bytes) -> None:
    with crooked_server() as server:
        server.says({"max_parallel_rollouts": 2})
        client = client_for(server.url)
        client.get_fleet_update_policy()
        away = Reply(body, 404, {"Content-Type": "text/plain"})
        found = server.answer
        server.answer = lambda method, path, headers: found(method, path, headers) if "fleet/" in path else away
        assert failure(client, "get_deep_health", ONE).kind == "not_found"
        server.answer = lambda method, path, headers: away
        for name, arguments in (("get_deep_health", (ONE,)), ("redeploy_runtime", (ONE,)), ("list_fleet_rollouts", ())):
            error = failure(client, name, *arguments)
            assert (error.kind, error.ambiguous) == ("unavailable", False)
            assert "The API may be down: the server no longer knows" in str(error) and "id is unknown" not in str(error)
        assert failure(client, "get_fleet_update_policy").kind == "unavailable"


def test_404_from_a_server_with_the_api_is_about_the_id() -> None:
    with second_api(instances=1) as api:
        error = failure(client_for(api.url), "get_available_updates", ONE)
        assert error.kind == "not_found" and "The id is unknown to this tenant" in str(error)
        assert len(api.called("get_fleet_update_policy")) == 1


def test_the_path_is_probed_only_before_the_first_success_of_a_client_or_its_clones() -> None:
    with second_api(instances=1) as api:
        client = client_for(api.url)
        client.list_fleet_rollouts()
        calls = [lambda clone: clone.get_available_updates(ONE)] * 3
        answers = in_pool(client, calls, workers=3)
        assert [answer.kind for answer in answers] == ["not_found"] * 3
        assert api.called("get_fleet_update_policy") == []


def test_a_wrong_path_ends_all_calls_of_a_pool() -> None:
    assert "wrong_path" in HOPELESS


# Proxies: reports/2026-11 C5


@pytest.fixture
def system_look_ups_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS, where the look-up kills a forked process."""

    def abort(*_arguments: Any) -> Any:
        raise AssertionError("the system was asked for its proxies")

    for module in (urllib.request, requests.utils, requests.compat):
        for name in ("getproxies", "proxy_bypass"):
            monkeypatch.setattr(module, name, abort, raising=False)


@pytest.fixture
def proxy() -> Iterator[CrookedServer]:
    with crooked_server() as server:
        yield server


@pytest.mark.usefixtures("system_look_ups_fail")
def test_the_proxies_of_the_operating_system_are_never_looked_up(
    proxy: CrookedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with second_api(instances=1) as api:
        client = client_for(api.url)
        assert client.get_fleet_update_policy()["max_parallel_rollouts"] == 2
        assert client.clone().get_fleet_update_policy()["max_parallel_rollouts"] == 2
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.0/8")
        assert client_for(api.url).get_fleet_update_policy()["max_parallel_rollouts"] == 2
    assert proxy.seen == []


@pytest.mark.usefixtures("system_look_ups_fail")
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_from_the_environment_is_used(
    proxy: CrookedServer, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, proxy.url)
    proxy.says({"max_parallel_rollouts": 7})
    assert client_for("http://fleet.example").get_fleet_update_policy() == {"max_parallel_rollouts": 7}
    assert proxy.seen[0][1] == "http://fleet.example/v1/instances/fleet/updates/policy"


@pytest.mark.parametrize(
    ("said", "pause"),
    [(b"HTTP/1.1 200 Connection established and a long story about it", 0.2), (b"SSH-2.0-OpenSSH\r\n", 0)],
)
def test_https_uses_the_tunnel_of_its_proxy_which_has_a_deadline_too(
    said: bytes, pause: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _address = server.accept()
            with connection:
                heard.append(connection.recv(100))
                for letter in said:
                    try:
                        connection.sendall(bytes([letter]))
                    except OSError:
                        return
                    time.sleep(pause)

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{server.getsockname()[1]}")
        started = time.monotonic()
        error = failure(client_for("https://fleet.example", request_timeout=1), "redeploy_runtime", ONE)
        assert time.monotonic() - started < 6
    assert heard[0].startswith(b"CONNECT fleet.example:443")
    assert (error.kind, error.ambiguous) == ("unreachable", False)
    assert "through the proxy that HTTPS_PROXY names" in str(error)


def test_a_write_that_a_proxy_does_not_answer_is_sent_once_and_its_outcome_is_unknown(
    proxy: CrookedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang_up(*_request: Any) -> Reply:
        raise ConnectionError

    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    proxy.answer = hang_up
    error = failure(client_for("http://fleet.example", retries=3), "redeploy_runtime", ONE)
    assert (len(proxy.seen), error.kind, error.ambiguous) == (1, "connection_lost", True)


def test_a_socks_proxy_is_used_and_its_answers_have_a_deadline_too(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _address = server.accept()
            with connection:
                for answer in (b"\x05\x00", b"\x05\x00\x00\x01" + bytes(6), b"HTTP/1.1 200 OK\r\n"):
                    heard.append(connection.recv(1000))
                    connection.sendall(answer)
                heard.append(connection.recv(1000))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        monkeypatch.setenv("ALL_PROXY", f"socks5h://127.0.0.1:{server.getsockname()[1]}")
        error = failure(client_for("http://fleet.example", request_timeout=0.5), "redeploy_runtime", ONE)
        thread.join(10)
    assert b"fleet.example" in heard[1] and heard[2].startswith(b"POST /v1/instances/")
    assert (error.kind, error.ambiguous) == ("timeout", True) and "no complete answer" in str(error)


@pytest.mark.parametrize(
    ("url", "environ", "used"),
    [
        ("https://fleet.example", {}, None),
        ("https://fleet.example", {"HTTPS_PROXY": ""}, None),
        ("https://fleet.example", {"HTTPS_PROXY": "proxy:3128"}, "http://proxy:3128"),
        ("https://fleet.example", {"HTTPS_PROXY": "http://b", "https_proxy": "http://a"}, "http://a"),
        ("https://fleet.example", {"HTTPS_PROXY": "http://b", "https_proxy": ""}, None),
        ("https://fleet.example", {"HTTP_PROXY": "http://b"}, None),
        ("http://fleet.example", {"HTTP_PROXY": "http://b", "REQUEST_METHOD": "GET"}, None),
        ("https://fleet.example", {"ALL_PROXY": "http://b", "NO_PROXY": "*"}, None),
        ("https://fleet.example", {"ALL_PROXY": "http://b", "NO_PROXY": "other, .example"}, None),
        ("https://fleet.example", {"ALL_PROXY": "http://b", "NO_PROXY": "EXAMPLE"}, None),
        ("https://fleet.example", {"ALL_PROXY": "http://b", "NO_PROXY": "fleet.example:80"}, "http://b"),
        ("https://fleet.example", {"ALL_PROXY": "http://b", "NO_PROXY": "fleet.example:443"}, None),
        ("https://fleet.example:8443", {"ALL_PROXY": "http://b", "NO_PROXY": "fleet.example:8443"}, None),
        ("https://fleet.example", {"ALL_PROXY": "http://b", "NO_PROXY": "leet.example"}, "http://b"),
        ("http://10.1.2.3:80", {"ALL_PROXY": "http://b", "NO_PROXY": "10.0.0.0/8"}, None),
        ("http://[fd00::1]", {"ALL_PROXY": "http://b", "NO_PROXY": "fd00::/8"}, None),
        ("http://[fd00::1]", {"ALL_PROXY": "http://b", "NO_PROXY": "[fd00::1]:80"}, None),
        ("http://192.0.2.1", {"ALL_PROXY": "http://b", "NO_PROXY": "10.0.0.0/8,,"}, "http://b"),
    ],
)
def test_the_proxy_is_chosen_by_the_environment(url: str, environ: dict[str, str], used: str | None) -> None:
    found = proxy_for(url, environ)
    assert (found.url if found else None) == used


@pytest.mark.parametrize("address", ["http://user:secret-p4ss@[bad", "http://", "http://user:secret-p4ss@proxy:port"])
def test_an_invalid_proxy_address_is_refused_without_showing_its_password(address: str) -> None:
    with pytest.raises(SettingsError, match=r"^HTTP_PROXY in the environment is not the address of a proxy") as caught:
        proxy_for("http://fleet.example", {"HTTP_PROXY": address})
    assert "secret-p4ss" not in str(caught.value)


def test_the_password_of_a_proxy_appears_in_no_error(proxy: CrookedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url.replace("//", "//user:secret-p4ss@"))
    proxy.says({"detail": "who is user:secret-p4ss?"}, 407)
    assert "secret-p4ss" not in str(failure(client_for("http://fleet.example"), "get_fleet_update_policy"))
    sent = proxy.seen[0][2]["Proxy-Authorization"]
    proxy.says({"detail": f"no user for Proxy-Authorization: {sent}"}, 407)
    error = failure(client_for("http://fleet.example"), "get_fleet_update_policy")
    assert error.detail == "no user for Proxy-Authorization: ********" and sent.startswith("Basic ")
