# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers that receive notifications, by mail (SMTP) and by webhook (HTTP). Both listen only on this machine."""

from __future__ import annotations

import base64
import email
import email.policy
import socketserver
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import cast

from tests.http_server import QuietHandler, http_server, running


@dataclass
class MailServer:
    """``mails``, ``logins`` as (user, password) and ``recipients`` were received; ``refuse``: answer with 550."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    refuse: bool = False


@contextmanager
def mail_server() -> Iterator[MailServer]:
    """An SMTP server with AUTH PLAIN."""
    state = MailServer()

    class Session(socketserver.StreamRequestHandler):
        def say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

        def handle(self) -> None:
            self.say("220 mail.example ESMTP")
            for raw in self.rfile:
                line = raw.decode().rstrip("\r\n")
                word = line.split(" ")[0].upper()
                if word == "EHLO":
                    self.say("250-mail.example")
                    self.say("250 AUTH PLAIN")
                elif word == "AUTH":
                    _empty, user, password = base64.b64decode(line.split(" ")[2]).decode().split("\0")
                    state.logins.append((user, password))
                    self.say("235 welcome")
                elif word == "RCPT" and state.refuse:
                    self.say("550 no such mailbox")
                elif word == "RCPT":
                    state.recipients.append(line)
                    self.say("250 ok")
                elif word == "DATA":
                    self.say("354 go on")
                    body = b""
                    for part in iter(self.rfile.readline, b".\r\n"):
                        body += part[1:] if part.startswith(b"..") else part
                    state.mails.append(cast(EmailMessage, email.message_from_bytes(body, policy=email.policy.default)))
                    self.say("250 kept")
                elif word == "QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("250 ok")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session) as server:
        server.daemon_threads = True
        state.port = server.server_address[1]
        with running(server):
            yield state


def text_of(mail: EmailMessage) -> str:
    """The text of a mail."""
    body = mail.get_body(("plain", "html"))
    assert body is not None
    return str(body.get_content())


@dataclass
class WebhookServer:
    """``calls``: path, headers and body of each request. ``answers``: the statuses of the next answers, later ones are
    204. ``on_call`` is called with the body before the answer."""

    url: str = ""
    calls: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    on_call: Callable[[bytes], object] = len


@contextmanager
def webhook_server(certificate: tuple[Path, Path] | None = None) -> Iterator[WebhookServer]:
    """An HTTP server, or an HTTPS server if a certificate and its key are given."""
    state = WebhookServer()

    class Call(QuietHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.calls.append((self.path, dict(self.headers), body))
            state.on_call(body)
            self.send_response(state.answers.pop(0) if state.answers else 204)
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
    with http_server(Call, context) as state.url:
        yield state
