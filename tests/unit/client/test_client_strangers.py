# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The client and servers that are unusual, hostile or absent: the key is not leaked, and the error is a sentence."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.fleetops.agents.plugins.module_utils._client.client import (
    ApiError,
    FleetClient,
    Settings,
    SettingsError,
    Transport,
    connect,
)
from ansible_collections.fleetops.agents.plugins.module_utils._client.settings import base_url
from tests.simulator.running import running_simulator
from tests.unit.client.crooked_server import CrookedServer, Reply, crooked_server

KEY = "canary-Key/1+%41-\\x-that-nobody-may-see"
ONE = "4f0c7c2e-4f6a-4a2e-9f0b-3f6f9e5f2f10"


@pytest.fixture
def server() -> Iterator[CrookedServer]:
    with crooked_server() as room:
        yield room


def client_for(url: str, **settings: Any) -> FleetClient:
    chosen = Settings(**{"api_url": url, "api_key": KEY, "request_timeout": 5.0, "retries": 2, **settings})
    return FleetClient(Transport(chosen, sleep=lambda seconds: None))


def refusal(client: FleetClient, name: str = "get_fleet_update_policy", *ids: str) -> ApiError:
    """The error of a call, which must not contain the key and must be one line."""
    with pytest.raises(ApiError) as caught:
        getattr(client, name)(*ids)
    shown = json.dumps([str(caught.value), repr(caught.value), caught.value.as_dict(), client.trace])
    shown += repr(client.transport.settings) + repr(client)
    for part in (KEY, json.dumps(KEY)[1:-1], KEY[:12]):
        assert part not in shown
    assert "\n" not in str(caught.value)
    return caught.value


# Where the key is sent


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("name", ["get_fleet_update_policy", "start_fleet_rollout"])
def test_a_redirect_is_not_followed_and_the_key_is_sent_nowhere_else(
    server: CrookedServer, status: int, name: str
) -> None:
    with crooked_server() as elsewhere:
        server.says({}, status, Location=elsewhere.url + "/v1/x")
        error = refusal(client_for(server.url), name)
        assert (error.kind, error.ambiguous) == ("redirected", False)
        assert elsewhere.url in str(error)
        assert elsewhere.seen == []
    assert len(server.seen) == 1


def test_an_answer_of_a_cache_that_nothing_has_changed_is_no_redirect(server: CrookedServer) -> None:
    server.says(b"", status=304)
    error = refusal(client_for(server.url), "get_fleet_update_policy")
    assert (error.kind, len(server.seen)) == ("unexpected", 1)
    assert str(error).endswith("failed with HTTP 304")


def test_the_environment_of_the_controller_does_not_change_what_is_sent(
    server: CrookedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # requests would also send the password in .netrc.
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password netrc-password\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    server.says({"max_parallel_rollouts": 2})
    client_for(server.url, headers={"X-Tenant": "blue"}).get_fleet_update_policy()
    ((_method, _path, headers),) = server.seen
    assert headers["X-Api-Key"] == KEY and headers["X-Tenant"] == "blue"
    assert "Authorization" not in headers


def test_the_key_wins_over_an_extra_header_with_the_same_name(server: CrookedServer) -> None:
    client_for(server.url, headers={"x-api-KEY": "other"}).get_fleet_update_policy()
    headers = server.seen[0][2]
    assert [value for name, value in headers.items() if name.lower() == "x-api-key"] == [KEY]


# What a server may answer


@pytest.mark.parametrize("before", [0, 570, 585, 597, 1990])
def test_the_key_is_masked_in_an_error_of_a_server_that_repeats_it(server: CrookedServer, before: int) -> None:
    for body in (
        {"detail": "x" * before + KEY},
        {"detail": [{"loc": ["header", "X-Api-Key"], "msg": "bad key " + "x" * before + KEY, "type": "x"}]},
        (b"<p>" + b"x" * before + KEY.encode() + b"</p>"),
        (b"y" * max(0, before - 460) + KEY.encode()),
    ):
        server.says(body, 400, X_Request_Id="for-" + KEY)
        refusal(client_for(server.url))
    server.says({}, 302, Location=server.url + "/?key=" + KEY)
    refusal(client_for(server.url))


def test_the_token_of_a_gateway_is_masked_in_an_error_of_a_server_that_repeats_it(server: CrookedServer) -> None:
    token = "gateway-token-77777"
    server.says({"detail": f"unknown {token}"}, 403)
    assert token not in str(refusal(client_for(server.url, headers={"X-Gateway": token})))
    server.says({"detail": "agent-001 is busy"}, 409)
    assert "agent-001 is busy" in str(refusal(client_for(server.url, headers={"X-Tenant": "agent", "X-Token": "1"})))


@pytest.mark.parametrize("scheme", ["Bearer", "Basic", "token"])
def test_credentials_after_the_scheme_of_a_header_are_masked_without_the_scheme_too(
    server: CrookedServer, scheme: str
) -> None:
    server.says({"detail": "bad login Z2F0ZXdheTo3Nzc3Nw=="}, 403)
    client = client_for(server.url, headers={"Authorization": f"{scheme} Z2F0ZXdheTo3Nzc3Nw=="})
    assert "bad login ********" in str(refusal(client))


def test_a_key_is_masked_in_json_that_a_server_repeats_in_a_text(server: CrookedServer) -> None:
    key = 'a"key\\of-\u00e9-77777'
    server.says({"detail": f"upstream got {json.dumps({'key': key})}"}, 403)
    assert 'upstream got {"key": "********"}' in str(refusal(client_for(server.url, api_key=key)))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"detail": [{"loc": ["body", 0, "id"], "msg": "not a uuid", "type": "x"}]}, "body.0.id: not a uuid"),
        ({"detail": "busy"}, "busy"),
        ({"detail": {"reason": "busy"}}, "reason: busy"),
        ({"message": "busy"}, "busy"),
        (["busy", "still"], "busy; still"),
        ("busy", "busy"),
        (b"<html><h1>502 Bad Gateway</h1></html>", "502 Bad Gateway"),
        (b"\xff\xfe\x00", "HTTP 409"),
        (b"", "HTTP 409"),
        ({}, "HTTP 409"),
        (None, "HTTP 409"),
        ({"detail": []}, "HTTP 409"),
        ({"detail": [None, 5, {"loc": None, "msg": None}]}, "None; 5"),
    ],
)
def test_an_error_body_of_any_shape_becomes_a_sentence(server: CrookedServer, body: Any, message: str) -> None:
    server.says(body, 409)
    error = refusal(client_for(server.url))
    assert message in str(error)
    assert error.kind == "conflict"


@pytest.mark.parametrize("body", [[], "text", 5, True, None, b""])
def test_a_success_with_a_body_of_another_shape_is_an_error_in_a_sentence(server: CrookedServer, body: Any) -> None:
    server.says(body)
    error = refusal(client_for(server.url))
    assert error.kind == "unexpected" and "an object was expected" in str(error)


@pytest.mark.parametrize("body", [{}, "text", [[{"id": "a"}]], ["a", None]])
def test_a_list_without_any_record_is_a_sentence(server: CrookedServer, body: Any) -> None:
    server.says(body)
    error = refusal(client_for(server.url), "list_fleet_rollouts")
    assert error.kind == "unexpected" and "a list of objects was expected" in str(error)


def test_missing_extra_and_null_fields_are_accepted(server: CrookedServer) -> None:
    client = client_for(server.url)
    server.says({"new_in_2030": {"a": [1]}, "max_parallel_rollouts": None})
    assert client.get_fleet_update_policy() == {"new_in_2030": {"a": [1]}, "max_parallel_rollouts": None}
    server.says([{"id": "a"}, None, 5, {}])
    assert client.list_fleet_rollouts() == [{"id": "a"}, {}]
    server.says({"rollout": {"id": "a"}, "targets": None})
    assert client.get_rollout("a") == {"rollout": {"id": "a"}, "targets": []}
    server.says({"actions": None})
    assert client.list_instance_actions("a") == {"actions": []}


@pytest.mark.parametrize(
    ("name", "part", "body"),
    [
        ("get_rollout_timeline", "timeline", {"timeline": {"0": {}}}),
        ("get_rollout", "rollout", {"targets": []}),
        ("get_rollout", "targets", {"rollout": {"id": "a"}, "targets": "none"}),
        ("list_instance_actions", "actions", {"actions": 5}),
        ("list_memories", "memories", {"data": {"memories": []}}),
    ],
)
def test_a_success_without_what_was_asked_for_is_no_empty_list(
    server: CrookedServer, name: str, part: str, body: dict[str, Any]
) -> None:
    client = client_for(server.url)
    for said in (body, {}, {"detail": f"the key {KEY} may not"}):
        server.says(said)
        error = refusal(client, name, "a")
        assert error.kind == "unexpected" and f"no {part if said is body else ''}" in str(error)
    assert "the key ******** may not" in str(error)


@pytest.mark.parametrize(
    ("name", "ids", "known"),
    [
        ("get_fleet_update_policy", (), {"runtime_default": "auto"}),
        ("get_deep_health", ("a",), {"uptime_seconds": 5}),
        ("get_audit_summary", ("a",), {"total_events": 5}),
        ("get_available_updates", ("a",), {"skills": None}),
    ],
)
def test_an_error_of_status_200_is_no_answer_in_which_everything_is_missing(
    server: CrookedServer, name: str, ids: tuple[str, ...], known: dict[str, Any]
) -> None:
    client = client_for(server.url)
    for body in (known, {}):
        server.says(body)
        assert getattr(client, name)(*ids) == body
    for body in ({"detail": "you may not"}, {"error": {"msg": "you may not"}}, {"data": known, "msg": "you may not"}):
        server.says({"instance_id": "a", **body})
        error = refusal(client, name, *ids)
        assert error.kind == "unexpected" and "in the answer (" in str(error) and "you may not" in str(error)


@pytest.mark.parametrize(
    ("given", "is_id"), [(17, "17"), (" a ", " a "), ("", None), (" ", None), (True, None), (["a"], None), ({}, None)]
)
def test_the_id_of_a_row_is_text_or_none(server: CrookedServer, given: Any, is_id: str | None) -> None:
    client = client_for(server.url)
    server.says([{"id": given, "status": word} for word in ("queued", "failed")])
    # Rows without an id are different ones.
    rows = {row["status"]: row["id"] for row in client.all_fleet_rollouts()}
    assert rows == ({"queued": None, "failed": None} if is_id is None else {"failed": is_id})
    server.says({"rollout": {"id": given}, "targets": [{"id": given}]})
    assert client.get_rollout("asked") == {"rollout": {"id": is_id or "asked"}, "targets": [{"id": is_id}]}


# Ids in the address


@pytest.mark.parametrize("wrong", [None, "", " ", ".", "..", "fleet", "\ud83d"])
def test_an_id_that_would_change_the_address_is_not_sent(server: CrookedServer, wrong: Any) -> None:
    error = refusal(client_for(server.url), "redeploy_runtime", wrong)
    assert (error.kind, error.ambiguous) == ("invalid", False)
    assert "instance_id" in str(error)
    assert server.seen == []


def test_an_id_is_one_segment_of_the_address(server: CrookedServer) -> None:
    server.answer = lambda method, path, headers: Reply({"task_id": None})
    client_for(server.url).redeploy_runtime("a/../b?force=true#x %2e")
    assert server.seen[0][1] == "/v1/instances/a%2F..%2Fb%3Fforce%3Dtrue%23x%20%252e/runtime/redeploy"


# Settings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"api_key": ""}, "api_key is empty"),
        ({"api_key": KEY + "\n"}, "line break"),
        ({"api_key": " " + KEY}, "blank"),
        ({"api_key": KEY + "\t"}, "blank"),
        ({"api_key": KEY + "\u20ac"}, "an HTTP header cannot have"),
        ({"headers": {"X-Gateway": "a\nb" + KEY}}, "extra_headers"),
        ({"headers": {"X-Gateway": "\u20ac" + KEY}}, "extra_headers"),
        ({"headers": {"X-Gateway": " " + KEY}}, "extra_headers"),
        ({"headers": {"X Gate: way": KEY}}, "extra_headers"),
        ({"headers": {"": KEY}}, "extra_headers"),
        ({"request_timeout": 0}, "request_timeout"),
        ({"request_timeout": float("nan")}, "request_timeout"),
        ({"request_timeout": float("inf")}, "request_timeout"),
        ({"request_timeout": 1e300}, "request_timeout"),
        ({"retries": -1}, "retries"),
        ({"api_url": ""}, "api_url is empty"),
        ({"api_url": "ftp://x"}, "api_url must look like"),
        ({"api_url": "fleet.example.com"}, "api_url must look like"),
        ({"api_url": "http://[::1"}, "api_url"),
        ({"api_url": "http://x:99999"}, "api_url"),
        ({"api_url": "http://me:" + KEY.replace("/", "") + "@x"}, "user name or a password"),
        ({"api_url": "http://x/?a=" + KEY}, "query"),
    ],
)
def test_an_invalid_setting_is_reported_in_a_sentence_without_the_key(settings: dict[str, Any], message: str) -> None:
    given = {"api_url": "http://127.0.0.1:1", "api_key": KEY, **settings}
    with pytest.raises(SettingsError) as caught:
        connect(**given)
    assert message in str(caught.value)
    assert KEY[:12] not in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://a..b", "http://.fleet.example", "http://" + "a" * 70 + ".example"])
def test_an_invalid_host_name_counts_as_unreachable_for_a_write_too(url: str) -> None:
    error = refusal(client_for(url, retries=0), "redeploy_runtime", ONE)
    assert (error.kind, error.ambiguous) == ("unreachable", False)


# Servers that cannot be reached


def test_a_refused_connection_is_reported_in_a_sentence(server: CrookedServer) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    client = client_for(url)
    error = refusal(client, "redeploy_runtime", ONE)
    assert (error.kind, error.ambiguous, error.attempts) == ("unreachable", False, 3)
    assert "Connection refused" in str(error) and "Check api_url (FLEETOPS_API_URL)" in str(error)


def test_an_unknown_host_name_is_reported_in_a_sentence() -> None:
    error = refusal(client_for("http://no-such-fleet.invalid"))
    assert error.kind == "unreachable" and "name is unknown" in str(error)


def test_the_error_about_a_wrong_key_says_what_to_do() -> None:
    with running_simulator(instances=1, speed=1.0) as sim:
        error = refusal(client_for(sim.url))
        assert (error.kind, error.status) == ("auth", 401)
        assert "Check api_key (FLEETOPS_API_KEY)" in str(error)
        assert len(sim.journal()) == 1


def test_the_time_limit_is_taken_from_the_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        started = time.monotonic()
        error = refusal(client_for(url, request_timeout=0.3, retries=0), "start_fleet_rollout")
        assert 0.3 <= time.monotonic() - started < 20, "the default is 30 s"
    assert (error.kind, error.ambiguous) == ("timeout", True)
    assert "no answer within the time limit" in str(error)


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """A self-signed certificate of 127.0.0.1 and a server's context with it."""
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=fleet"
    subprocess.run(
        [*command.split(), "-addext", "subjectAltName=IP:127.0.0.1"], cwd=folder, check=True, capture_output=True
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return folder / "cert.pem", context


@pytest.fixture
def secure(certificate: tuple[Path, ssl.SSLContext]) -> Iterator[CrookedServer]:
    with crooked_server(certificate[1]) as room:
        yield room


def test_an_untrusted_certificate_is_refused_before_the_key_is_sent(secure: CrookedServer) -> None:
    error = refusal(client_for(secure.url), "redeploy_runtime", ONE)
    assert (error.kind, error.ambiguous, error.attempts) == ("tls", False, 1)
    assert "Check the server's certificate, ca_path or validate_certs" in str(error)
    assert secure.seen == []


def test_a_certificate_for_another_name_is_refused(
    secure: CrookedServer, certificate: tuple[Path, ssl.SSLContext]
) -> None:
    url = secure.url.replace("127.0.0.1", "localhost")
    assert refusal(client_for(url, ca_path=str(certificate[0]))).kind == "tls"
    assert secure.seen == []


@pytest.mark.parametrize("bundle_of_env", [False, True])
def test_ca_path_and_validate_certs_apply_whatever_the_environment_says(
    secure: CrookedServer,
    certificate: tuple[Path, ssl.SSLContext],
    monkeypatch: pytest.MonkeyPatch,
    bundle_of_env: bool,
) -> None:
    if bundle_of_env:
        # requests prefers this variable over the settings of its session.
        import certifi

        monkeypatch.setenv("REQUESTS_CA_BUNDLE", certifi.where())
    assert client_for(secure.url, ca_path=str(certificate[0])).get_fleet_update_policy() == {}
    assert client_for(secure.url, validate_certs=False).get_fleet_update_policy() == {}


def test_a_missing_ca_path_is_reported_in_a_sentence(secure: CrookedServer) -> None:
    error = refusal(client_for(secure.url, ca_path="/nowhere/ca.pem"), "redeploy_runtime", ONE)
    assert (error.kind, error.ambiguous) == ("tls", False)
    assert "/nowhere/ca.pem" in str(error)


def test_a_file_of_this_machine_that_prevents_the_connection_is_named(
    secure: CrookedServer, certificate: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", "/nowhere/keys.log")
    error = refusal(client_for(secure.url, ca_path=str(certificate[0]), retries=0), "redeploy_runtime", ONE)
    assert "No such file or directory (/nowhere/keys.log)" in str(error) and not error.ambiguous
    assert secure.seen == []


def test_https_to_a_server_without_tls_is_reported_in_a_sentence(server: CrookedServer) -> None:
    error = refusal(client_for(server.url.replace("http:", "https:")), "redeploy_runtime", ONE)
    assert (error.kind, error.ambiguous) == ("tls", False)
    assert server.seen == []


def test_without_a_common_tls_version_nothing_was_sent(certificate: tuple[Path, ssl.SSLContext]) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    old.load_cert_chain(certificate[0], certificate[0].with_name("key.pem"))
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    old.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")  # needs another type of key than the server has
    with crooked_server(old) as room:
        error = refusal(client_for(room.url, ca_path=str(certificate[0])), "redeploy_runtime", ONE)
        assert (error.kind, error.ambiguous) == ("tls", False)
        assert room.seen == []


def test_without_the_end_of_the_handshake_nothing_was_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        error = refusal(client_for(url, request_timeout=0.3), "redeploy_runtime", ONE)
    assert (error.kind, error.ambiguous, error.attempts) == ("tls", False, 3)
    assert "handshake" in str(error)


def test_a_write_through_a_tunnel_that_breaks_is_sent_once_and_its_outcome_is_unknown(
    certificate: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection = listener.accept()[0]
                    connection.recv(1000)
                    connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    with certificate[1].wrap_socket(connection, server_side=True) as tunnel:
                        sent.append(tunnel.recv(4))

        threading.Thread(target=serve, daemon=True).start()
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{listener.getsockname()[1]}")
        error = refusal(client_for("https://fleet.example", validate_certs=False), "redeploy_runtime", ONE)
    assert (sent, error.kind, error.ambiguous, error.attempts) == ([b"POST"], "connection_lost", True, 1)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("HTTPS://Fleet.Example.COM:443/v1/instances/", "https://fleet.example.com"),
        (" https://fleet.example.com/ ", "https://fleet.example.com"),
        ("https://fleet.example.com:80/Ops/v1", "https://fleet.example.com:80/Ops"),
        ("http://[FE80::1]:80", "http://[fe80::1]"),
    ],
)
def test_all_spellings_of_an_address_have_one_form(written: str, read: str) -> None:
    """Locks and notes of sent calls are found by this form."""
    assert base_url(written) == read


@pytest.mark.parametrize("depth", [90, 150, 500, 900, 50_000])
def test_an_answer_with_too_deep_nesting_is_not_read(server: CrookedServer, depth: int) -> None:
    server.says(b'{"a": ' * depth + b"[1]" + b"}" * depth)
    if depth == 90:
        assert client_for(server.url).raw("GET", "/v1/a").body["a"]
        return
    error = refusal(client_for(server.url, retries=0))
    assert error.kind == "unreadable" and "is not JSON" in str(error)
