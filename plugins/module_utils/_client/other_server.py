# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""One call of a server that does not belong to the API: a server of metrics, or the address of a hold.

No key or header of the API is sent, and no cookies. Proxy and certificates are the same as for calls of the API.
Redirects are not followed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from .._rules.plain_values import SettingsError
from .proxies import proxy_for
from .redact import Redactor, spellings
from .transport import CONNECT_TIMEOUT, FAILURES, certificates_in, new_session, reading_of
from .trust import trust_of


class NoAnswerError(Exception):
    """There was no answer. The message is a phrase with the reason."""


def status_of(url: str, **connection: Any) -> int:
    """The status of the answer to a GET of ``url``. ``connection``: see answer_to. Raises NoAnswerError."""
    with answer_to("GET", url, secrets=[urlsplit(url).query], **connection) as (response, _redactor):
        return int(response.status_code)


@contextmanager
def answer_to(
    method: str,
    url: str,
    *,
    secrets: Iterable[str],
    validate_certs: bool,
    ca_path: str | None,
    timeout: float,
    headers: dict[str, str] | None = None,
    data: dict[str, str] | None = None,
) -> Iterator[tuple[Any, Redactor]]:
    """The answer to one call, whose body is not read yet, and what masks the secrets in its texts.

    ``secrets``: those of the call; the password of the proxy is masked too. ``timeout``: seconds within which the whole
    answer must arrive. Raises NoAnswerError, also while the body is read.
    """
    try:
        proxy = proxy_for(url, os.environ)
    except SettingsError as refused:
        raise NoAnswerError(str(refused)) from None
    trust = trust_of(validate_certs, ca_path, os.environ)
    problem = trust.problem(certificates_in) if url.lower().startswith("https:") else None
    if problem is not None:
        raise NoAnswerError(problem)
    hidden = (*secrets, *(proxy.secrets() if proxy else ()))
    redactor = Redactor(spelling for secret in hidden for spelling in spellings(secret))
    session = new_session(proxy)
    try:
        with session.request(
            method,
            url,
            headers={"User-Agent": "fleetops.agents", **(headers or {})},
            data=data,
            timeout=(min(CONNECT_TIMEOUT, timeout), timeout),
            allow_redirects=False,
            verify=trust.verify,
            stream=True,
        ) as response:
            yield response, redactor
    except FAILURES as failure:
        raise NoAnswerError(redactor.text(reading_of(failure)[2])) from None
    finally:
        session.close()
