# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""The HTTP status of an address that does not belong to the API, such as that of a hold. No secrets are sent."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from .._rules.plain_values import SettingsError
from .proxies import proxy_for
from .redact import Redactor, spellings
from .transport import CONNECT_TIMEOUT, FAILURES, certificates_in, new_session, reading_of
from .trust import trust_of


class ProbeError(Exception):
    """There was no answer. The message is a phrase with the reason."""


def status_of(url: str, *, validate_certs: bool, ca_path: str | None, timeout: float) -> int:
    """The status of the answer to a GET of ``url`` within ``timeout`` seconds. Redirects are not followed.

    No key, extra headers or cookies are sent. Proxy and certificates are the same as for calls to the API. Raises
    ProbeError.
    """
    try:
        proxy = proxy_for(url, os.environ)
    except SettingsError as refused:
        raise ProbeError(str(refused)) from None
    trust = trust_of(validate_certs, ca_path, os.environ)
    problem = trust.problem(certificates_in) if url.lower().startswith("https:") else None
    if problem is not None:
        raise ProbeError(problem)
    secrets = (urlsplit(url).query, *(proxy.secrets() if proxy else ()))
    redactor = Redactor(spelling for secret in secrets for spelling in spellings(secret))
    session = new_session(proxy)
    try:
        response = session.get(
            url,
            headers={"User-Agent": "fleetops.agents"},
            timeout=(min(CONNECT_TIMEOUT, timeout), timeout),
            allow_redirects=False,
            verify=trust.verify,
            # Only the status is needed, so the body is not read.
            stream=True,
        )
        with response:
            return int(response.status_code)
    except FAILURES as failure:
        raise ProbeError(redactor.text(reading_of(failure)[2])) from None
    finally:
        session.close()
