# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A local login provider for tests: the OpenID Connect code flow with PKCE, and a page on which to choose a person."""

from __future__ import annotations

import base64
import hashlib
import html
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import uvicorn
from fastapi import FastAPI, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT_ID = "console"
CLIENT_SECRET = "tests-only-" + "s" * 24


class Provider:
    """The state of the provider. ``people``: the claims of their ID tokens, by the name on their link."""

    def __init__(self, issuer: str, people: dict[str, dict[str, Any]]) -> None:
        self.issuer, self.people = issuer, people
        self._key = RSAKey.generate_key(2048, {"kid": "k1", "use": "sig", "alg": "RS256"})
        self._codes: dict[str, dict[str, str]] = {}
        self.app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        self.app.get("/.well-known/openid-configuration")(self.discovery)
        self.app.get("/jwks")(self.jwks)
        self.app.get("/authorize", response_class=HTMLResponse)(self.authorize)
        self.app.get("/choose")(self.choose)
        self.app.post("/token")(self.token)

    def discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
        }

    def jwks(self) -> dict[str, Any]:
        return {"keys": [self._key.as_dict(private=False)]}

    def authorize(self, request: Request) -> str:
        """The page with a link for each person."""
        asked = dict(request.query_params)
        if asked.get("client_id") != CLIENT_ID or asked.get("response_type") != "code":
            raise HTTPException(400, "unknown client or response type")
        links = "".join(
            f'<p><a href="/choose?{html.escape(urlencode(asked | {"person": person}))}">{person}</a></p>'
            for person in self.people
        )
        return f"<!doctype html><title>Who are you?</title><h1>Who are you?</h1>{links}"

    def choose(self, request: Request) -> RedirectResponse:
        asked = dict(request.query_params)
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        back = urlencode({"code": code, "state": asked["state"]})
        return RedirectResponse(f"{asked['redirect_uri']}?{back}", 302)

    def token(
        self,
        request: Request,
        code: str = Form(),
        redirect_uri: str = Form(),
        code_verifier: str = Form(""),
    ) -> dict[str, Any]:
        """Exchange a code, once, for an ID token."""
        given = request.headers.get("Authorization", "")
        wanted = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        asked = self._codes.pop(code, None)
        if given != f"Basic {wanted}" or asked is None or asked["redirect_uri"] != redirect_uri:
            raise HTTPException(401, "invalid_client or invalid_grant")
        digest = base64.urlsafe_b64encode(hashlib.sha256(code_verifier.encode()).digest()).rstrip(b"=").decode()
        if asked.get("code_challenge") != digest:
            raise HTTPException(400, "invalid_grant: PKCE")
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 3600, "nonce": asked.get("nonce")}
        claims |= self.people[asked["person"]]
        signed = jwt.encode({"alg": "RS256", "kid": "k1"}, claims, self._key)
        return {"access_token": secrets.token_urlsafe(16), "token_type": "Bearer", "expires_in": 60, "id_token": signed}


@contextmanager
def running_provider(people: dict[str, dict[str, Any]]) -> Iterator[Provider]:
    """Serve a provider on a free local port until the block ends; its ``issuer`` is its address."""
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        provider = Provider(f"http://127.0.0.1:{line.getsockname()[1]}", people)
        server = uvicorn.Server(uvicorn.Config(provider.app, log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [line]}, daemon=True)
        thread.start()
        try:
            deadline = time.monotonic() + 20
            while not server.started:
                if time.monotonic() > deadline:
                    raise RuntimeError("the login provider did not start")
                time.sleep(0.02)
            yield provider
        finally:
            server.should_exit = True
            thread.join(10)
