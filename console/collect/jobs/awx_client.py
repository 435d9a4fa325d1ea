# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads the REST API of AWX, with the collection's own transport and a bearer token. It sends only GET requests.

FLEETOPS_AWX_URL      the address of AWX, such as https://awx.example.com; for Automation Platform .../api/controller
FLEETOPS_AWX_TOKEN    a token with read scope
FLEETOPS_AWX_CA_PATH  the CA certificate that signed AWX's certificate, if the system does not trust it
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from ansible_collections.fleetops.agents.plugins.module_utils._client.endpoints import Endpoint, Repeat
from ansible_collections.fleetops.agents.plugins.module_utils._client.errors import ApiError
from ansible_collections.fleetops.agents.plugins.module_utils._client.transport import Settings, Transport, base_url
from ansible_collections.fleetops.agents.plugins.module_utils._rules import plain_values
from console.settings.environment import ApiConnection, SettingsError, authority, of_variable

PAGE = 200

_GET = Endpoint(0, "awx", "GET", "", Repeat.READ)
# The environment variables of the settings, by their names in the transport.
_VARIABLES = {"api_url": "FLEETOPS_AWX_URL", "api_key": "FLEETOPS_AWX_TOKEN"}
# What to do next, by kind of error.
_NEXT = {
    "auth": "Check FLEETOPS_AWX_TOKEN: it is wrong, expired or revoked.",
    "forbidden": "The token's user may not read this.",
    "not_found": "Check FLEETOPS_AWX_URL, unless the job was deleted in the meantime.",
    "unreachable": "Check FLEETOPS_AWX_URL: the host name, the port, and the route to it.",
    "tls": "Check the server's certificate, or set FLEETOPS_AWX_CA_PATH to its CA certificate.",
    "redirected": "Set FLEETOPS_AWX_URL to the final address.",
    "unreadable": "Check that FLEETOPS_AWX_URL is the address of AWX.",
}


class AwxError(Exception):
    """AWX could not be read. The message is one sentence."""


class AwxJobError(AwxError):
    """A part of one job could not be read; other jobs may still be readable."""


class AwxServerError(AwxError):
    """AWX failed to answer a call. This may concern one job, for example because of its many events, or all calls."""


# The errors by kind. All others would occur for the next job too.
_ERRORS = {
    **dict.fromkeys(("not_found", "forbidden", "invalid", "unreadable"), AwxJobError),
    **dict.fromkeys(("server", "timeout"), AwxServerError),
}


def load_awx(environ: Mapping[str, str] | None = None) -> ApiConnection:
    """The connection to AWX from the environment. Raises SettingsError. Certificates are always validated."""
    env = os.environ if environ is None else environ
    url, ca_path = (env.get(f"FLEETOPS_AWX_{name}", "").strip() for name in ("URL", "CA_PATH"))
    token = env.get("FLEETOPS_AWX_TOKEN", "")
    if not url:
        raise SettingsError("FLEETOPS_AWX_URL is not set: set it to the address of AWX.")
    if not token.strip():
        raise SettingsError("FLEETOPS_AWX_TOKEN is not set: set it to an AWX token with read scope.")
    return ApiConnection(url, token, ca_path=str(authority("FLEETOPS_AWX_CA_PATH", ca_path)) if ca_path else None)


class _BearerTransport(Transport):
    """The collection's transport, without the header for the fleet API's key."""

    def __init__(self, settings: Settings, **more: Any) -> None:
        super().__init__(settings, read_only=True, **more)
        del self._session.headers["X-Api-Key"]


def awx_origin(url: str) -> str:
    """The address of an AWX without the path of its API. Raises ValueError for an invalid address."""
    server, prefix, _api = _split(url)
    return server + prefix


def _split(url: str) -> tuple[str, str, str]:
    """The server of an AWX, the path of AWX there, and below it that of its API, which is /api/controller in Automation
    Platform. Raises ValueError."""
    parts = urlsplit(url.strip().rstrip("/"))
    prefix, api, below = parts.path.removesuffix("/v2").partition("/api")
    return base_url(f"{parts.scheme}://{parts.netloc}"), prefix, (api or "/api") + below


class AwxClient:
    """Reads AWX's API. ``origin`` is its address without the path of the API."""

    def __init__(self, connection: ApiConnection, **transport: Callable[..., Any]) -> None:
        try:
            server, prefix, api = _split(connection.api_url)
            settings = Settings(
                server,
                connection.api_key,
                ca_path=connection.ca_path,
                request_timeout=connection.request_timeout,
                retries=connection.retries,
                headers={"Authorization": f"Bearer {connection.api_key}"},
            )
        except plain_values.SettingsError as error:
            raise of_variable(error, _VARIABLES) from None
        except ValueError:
            # The message of the exception may contain a password.
            raise SettingsError(
                "FLEETOPS_AWX_URL is not a valid address: its host or its port cannot be read."
            ) from None
        self.origin, self._api = server + prefix, f"{prefix}{api}/v2"
        self._is_platform = api.startswith("/api/controller")
        self._transport = _BearerTransport(settings, **transport)

    def close(self) -> None:
        self._transport.close()

    def job_page(self, job_id: Any) -> str:
        """The address of a job's page in the user interface, whose paths are different in Automation Platform."""
        page = f"execution/jobs/playbook/{job_id}/output" if self._is_platform else f"#/jobs/playbook/{job_id}"
        return f"{self.origin}/{page}"

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """Read one record; ``path`` starts after the API's version, such as ``/jobs/2/``. Raises AwxError."""
        try:
            body = self._transport.request(_GET, self._api + path, query=query).body
        except ApiError as error:
            raise _ERRORS.get(error.kind, AwxError)(self._sentence(error)) from error
        if not isinstance(body, dict):
            raise AwxError(f"AWX {self.origin} did not return a record for {path}. {_NEXT['unreadable']}")
        return body

    def pages(self, path: str, **query: Any) -> Iterator[tuple[int, list[dict[str, Any]]]]:
        """The pages of a list, as pairs of the total count and the records of the page. Raises AwxError.

        Only the query of ``next`` is used, so that the token is not sent to any other address.
        """
        read: list[dict[str, Any]] = []
        while query not in read:
            read.append(query)
            body = self.get(path, **{"page_size": PAGE, **query})
            found = body.get("results")
            if not isinstance(found, list) or not all(isinstance(record, dict) for record in found):
                raise AwxError(f"AWX {self.origin} did not return a page of a list for {path}. {_NEXT['unreadable']}")
            count = body.get("count")
            yield count if isinstance(count, int) else len(found), found
            following = body.get("next")
            if not isinstance(following, str) or not found:
                return
            try:
                query = dict(parse_qsl(urlsplit(following).query))
            except ValueError as error:
                raise AwxError(
                    f"AWX {self.origin} returned an invalid address of the next page for {path}: {error}."
                ) from error
        raise AwxError(
            f"AWX {self.origin} returned a next page for {path} that was already read. {_NEXT['unreadable']}"
        )

    def _sentence(self, error: ApiError) -> str:
        what = f"AWX {self.origin}: GET {error.path} failed"
        if error.status is not None:
            what += f" with HTTP {error.status}"
        if error.attempts > 1:
            what += f" after {error.attempts} attempts"
        failure = f"{what}: {error.detail}" if error.detail else what
        step = _NEXT.get(error.kind, "The next sync continues from here.")
        return " ".join(f"{failure.rstrip('.')}. {step}".split())
