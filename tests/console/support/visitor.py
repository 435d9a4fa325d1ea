# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client for a served console without a browser: it uses Streamlit's WebSocket protocol and measures the messages."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol


@dataclass
class Visit:
    """A page as it arrived.

    ``seconds``: from the request to the end of the script. ``script_seconds``: from the first message of the script to
    its end. ``sent``: bytes of all messages. ``errors``: the exceptions that the page shows.
    """

    seconds: float = 0.0
    script_seconds: float = 0.0
    sent: int = 0
    headings: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    kinds: dict[str, int] = field(default_factory=dict)
    fragment_id: str = ""

    def take(self, element: Element) -> None:
        kind = element.WhichOneof("type") or ""
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        if kind == "heading":
            self.headings.append(element.heading.body)
        elif kind == "text":
            self.texts.append(element.text.body)
        elif kind == "markdown":
            self.texts.append(element.markdown.body)
        elif kind == "html":
            self.texts.append(element.html.body)
        elif kind == "exception":
            self.errors.append(f"{element.exception.type}: {element.exception.message}")


class Visitor:
    """One session, as of one browser tab. Use it as a context manager and from a single thread."""

    def __init__(self, url: str, timeout: float = 60.0) -> None:
        self._timeout = timeout
        self._until_left = ExitStack()
        self._line = self._until_left.enter_context(
            connect(
                url.replace("http://", "ws://") + "/_stcore/stream",
                origin=Origin(url),
                subprotocols=[Subprotocol("streamlit")],
                max_size=None,
                compression=None,
            )
        )
        # As for a browser, only the hash of a message is sent if the client already has the message.
        self._seen: dict[str, ForwardMsg] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._until_left.close()

    def open(self, page: str = "", query: str = "") -> Visit:
        """Open a page by its path ('' is the first page) and query string. Raises TimeoutError."""
        request = BackMsg()
        request.rerun_script.page_name = page
        request.rerun_script.query_string = query
        return self._run(request)

    def refresh(self, visit: Visit, page: str, query: str = "") -> Visit:
        """Refresh a live page as a browser tab does every few seconds."""
        request = BackMsg()
        request.rerun_script.page_name = page
        request.rerun_script.query_string = query
        request.rerun_script.fragment_id = visit.fragment_id
        request.rerun_script.is_auto_rerun = True
        return self._run(request)

    def _run(self, request: BackMsg) -> Visit:
        request.rerun_script.context_info.color_scheme = "light"
        request.rerun_script.context_info.timezone = "UTC"
        request.rerun_script.cached_message_hashes.extend(self._seen)
        visit, asked = Visit(), time.monotonic()
        begun: float | None = None
        self._line.send(request.SerializeToString())
        while True:
            data = self._line.recv(timeout=self._timeout - (time.monotonic() - asked))
            now = time.monotonic()
            assert isinstance(data, bytes)
            visit.sent += len(data)
            message = self._whole(ForwardMsg.FromString(data))
            kind = message.WhichOneof("type")
            if kind == "new_session":
                begun = now
                visit.headings, visit.texts, visit.errors, visit.kinds = [], [], [], {}
            elif kind == "delta" and message.delta.WhichOneof("type") == "new_element":
                visit.take(message.delta.new_element)
            elif kind == "auto_rerun":
                visit.fragment_id = message.auto_rerun.fragment_id
            elif kind == "page_not_found":
                visit.errors.append("page not found")
            elif kind == "script_finished" and message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                if message.script_finished == ForwardMsg.FINISHED_WITH_COMPILE_ERROR:
                    visit.errors.append("the script does not compile")
                visit.seconds, visit.script_seconds = now - asked, now - (begun or asked)
                return visit

    def _whole(self, message: ForwardMsg) -> ForwardMsg:
        if message.WhichOneof("type") == "ref_hash":
            whole = ForwardMsg()
            whole.CopyFrom(self._seen[message.ref_hash])
            return whole
        if message.metadata.cacheable:
            self._seen[message.hash] = message
        return message
