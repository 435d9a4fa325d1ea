# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which requests a served console answers: those of its own pages and links to them, over real HTTP and WebSocket."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from console.web.own_origin import FAILED
from tests.console.support.every_page import declared_pages
from tests.console.support.login_file import SECRET, written
from tests.console.support.seeded import seed_small
from tests.console.support.served import serving
from tests.console.support.visitor import Visitor

STREAM = "/_stcore/stream"
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
LINK = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


class Answer:
    """Status, headers and text of an answer; a 101 has no text."""

    def __init__(self, port: int, path: str, headers: Mapping[str, str], method: str = "GET") -> None:
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            line.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in {"Host": f"127.0.0.1:{port}", **headers}.items():
                line.putheader(name, value)
            line.endheaders()
            answer = line.getresponse()
            self.status, self.headers = answer.status, answer.headers
            self.text = "" if answer.status == 101 else answer.read().decode(errors="replace")
        finally:
            line.close()


def opened(port: int, origin: str | None, host: str | None = None, **more: str) -> int:
    """The status of the WebSocket's answer to a page of ``origin``."""
    headers = {**UPGRADE, **({"Origin": origin} if origin else {}), **({"Host": host} if host else {}), **more}
    return Answer(port, STREAM, headers).status


@contextmanager
def counting_proxy() -> Iterator[tuple[str, list[str]]]:
    """A proxy that forwards nothing: its address, and the first line of each request."""
    asked: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            while True:
                try:
                    line, _address = listening.accept()
                except OSError:
                    return
                with line:
                    asked.append(line.recv(1000).decode(errors="replace").partition("\r\n")[0])
                    line.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}", asked
        finally:
            listening.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, list[str]]]:
    """The port of a console without a login whose outgoing requests use a proxy, and the requests to that proxy."""
    folder = tmp_path_factory.mktemp("proxied")
    seed_small(folder / "console.db", folder / "runs", time.time())
    with counting_proxy() as (address, asked):
        ways = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy"), address)
        with serving(folder / "console.db", folder / "runs", {**ways, "no_proxy": "", "NO_PROXY": ""}) as served:
            yield int(served.url.rpartition(":")[2]), asked


@pytest.fixture(scope="module")
def behind_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a console with a login and the public address https://console.example.com."""
    folder = tmp_path_factory.mktemp("login")
    seed_small(folder / "console.db", folder / "runs", time.time())
    login = written(folder / "login.toml")
    with serving(folder / "console.db", folder / "runs", {"FLEETOPS_CONSOLE_LOGIN": str(login)}) as served:
        yield int(served.url.rpartition(":")[2])


# reports/2026-11 F5
def test_a_foreign_page_is_refused_and_no_outgoing_request_is_made(proxied: tuple[int, list[str]]) -> None:
    port, asked = proxied
    for origin in ("https://evil.example", "http://evil.example:8501", f"http://192.0.2.7:{port}", "null", "garbage"):
        assert opened(port, origin) == 403, origin
        assert Answer(port, "/_stcore/health", {"Origin": origin}).status == 403, origin
        assert Answer(port, "/_stcore/host-config", {"Origin": origin}).status == 403, origin
    assert asked == []
    # Nor while the pages are open, under any of the machine's own names.
    for name in ("127.0.0.1", "localhost", "[::1]"):
        own = {"Host": f"{name}:{port}", "Origin": f"http://{name}:{port}"}
        assert opened(port, own["Origin"], own["Host"]) == 101, name
        for path in ("/", "/_stcore/health", "/_stcore/host-config"):
            assert Answer(port, path, own).status == 200, (name, path)
    with Visitor(f"http://127.0.0.1:{port}") as visitor:
        for page in declared_pages():
            assert visitor.open("" if page == "overview" else page).errors == []
    assert asked == []


# reports/2026-11 F6
def test_only_pages_of_the_console_open_its_session(proxied: tuple[int, list[str]], behind_proxy: int) -> None:
    port, _asked = proxied
    own = f"http://127.0.0.1:{port}"
    assert opened(port, own) == 101
    # A tunnel to another port of the reader's machine.
    assert opened(port, "http://localhost:9000", "localhost:9000") == 101
    others = (
        "http://127.0.0.1:9000",
        "http://localhost:9000",
        f"http://localhost:{port}",
        "http://127.0.0.1",
        "",
        None,
    )
    for origin in others:
        assert opened(port, origin) == 403, origin
    assert opened(port, "http://evil.example", "evil.example") == 403
    # With a login: only its public name, whichever name a proxy passes on.
    name = "console.example.com"
    for host in (name, f"127.0.0.1:{behind_proxy}"):
        assert opened(behind_proxy, f"https://{name}", host) == 101
        for origin in (f"http://{name}", f"https://{name}:8443", "https://evil.example", "https://example.com"):
            assert opened(behind_proxy, origin, host) == 403, (origin, host)


# reports/2026-11 F6
def test_other_sites_may_only_link_to_the_console(proxied: tuple[int, list[str]]) -> None:
    port, _asked = proxied
    assert Answer(port, "/rollouts", LINK).status == 200
    for changed in (
        {"Sec-Fetch-Dest": "iframe"},
        {"Sec-Fetch-Dest": "embed"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Dest": "iframe"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
        {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
    ):
        assert Answer(port, "/rollouts", LINK | changed).status == 403, changed
    assert Answer(port, "/rollouts", LINK, "POST").status == 403
    assert Answer(port, "/", {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}).status == 200
    assert (
        Answer(port, "/", {"Sec-Fetch-Site": "none", **{k: v for k, v in LINK.items() if "Site" not in k}}).status
        == 200
    )


# reports/2026-11 F6
def test_every_answer_forbids_frames_and_content_type_sniffing(proxied: tuple[int, list[str]]) -> None:
    port, _asked = proxied
    script = Answer(port, "/", {}).text.partition('src="./')[2].partition('"')[0]
    assert script.endswith(".js")
    paths = (
        "/",
        "/rollouts",
        f"/{script}",
        "/_stcore/health",
        "/_stcore/host-config",
        "/media/none.csv",
        "/auth/login",
    )
    for answer in [Answer(port, path, {}) for path in paths] + [Answer(port, "/", {"Host": "evil.example"})]:
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert (
        Answer(port, f"/{script}", {}).headers["Content-Type"].startswith(("text/javascript", "application/javascript"))
    )


# reports/2026-11 D12
def test_a_request_without_required_headers_gets_an_answer_that_names_them(behind_proxy: int) -> None:
    wrong_host = Answer(behind_proxy, "/", {"Host": "10.0.0.7:8501"})
    assert (wrong_host.status, "Host" in wrong_host.text) == (403, True)
    assert "console.example.com" in wrong_host.text
    no_upgrade = Answer(behind_proxy, STREAM, {"Host": "console.example.com", "Origin": "https://console.example.com"})
    assert (no_upgrade.status, "Upgrade" in no_upgrade.text) == (426, True)
    # A load balancer checks the health by the machine's address.
    assert Answer(behind_proxy, "/_stcore/health", {"Host": "10.0.0.7:8501"}).text == "ok"


# reports/2026-11 D12
def test_a_login_with_many_groups_is_accepted_or_refused_for_having_too_many(behind_proxy: int) -> None:
    page = {"Host": "console.example.com"}
    many = "; ".join(f"_streamlit_user_{number}={'x' * 4000}" for number in range(25))
    assert Answer(behind_proxy, "/", {**page, "Cookie": many}).status == 200
    assert opened(behind_proxy, "https://console.example.com", "console.example.com", Cookie=many) == 101
    too_many = "; ".join(f"_streamlit_user_{number}={'x' * 4000}" for number in range(34))
    refused = Answer(behind_proxy, "/", {**page, "Cookie": f"{too_many}; other=1"})
    assert refused.status == 431
    assert "groups" in refused.text and "cookies" in refused.text
    gone = [value for name, value in refused.headers.items() if name.lower() == "set-cookie"]
    assert len(gone) == 34 and all("Max-Age=0" in value for value in gone)


# reports/2026-11 D12
def test_a_failed_login_leads_to_a_page_that_says_so(behind_proxy: int) -> None:
    page = {"Host": "console.example.com"}
    for query in ("error=access_denied&state=x", "code=stale&state=x"):
        assert Answer(behind_proxy, f"/oauth2callback?{query}", page).headers["Location"] == f"/?{FAILED}=1"
    # The provider also redirects here after a logout, which is not a failure.
    assert Answer(behind_proxy, "/oauth2callback", page).headers["Location"] == "/"
    with Visitor(f"http://127.0.0.1:{behind_proxy}") as visitor:
        assert not any("sign-in failed" in text for text in visitor.open().texts)
        assert any("sign-in failed" in text for text in visitor.open(query=f"{FAILED}=1").texts)


def test_no_secret_appears_in_a_refusal(behind_proxy: int) -> None:
    answers = [Answer(behind_proxy, path, {"Host": "evil.example"}).text for path in ("/", "/auth/login", STREAM)]
    assert SECRET not in "".join(answers)
