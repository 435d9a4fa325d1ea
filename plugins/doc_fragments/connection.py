# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the connection options that modules and plugins share."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  api_url:
    description:
      - Address of the server, for example V(https://fleet.example.com).
      - Proxies are configured by the environment variables E(HTTPS_PROXY), E(HTTP_PROXY), E(ALL_PROXY) and E(NO_PROXY).
        A SOCKS proxy needs the Python package C(PySocks).
        Proxy settings of the operating system are not used.
      - If it is not set, the environment variable E(FLEETOPS_API_URL) is used.
    type: str
    required: true
  api_key:
    description:
      - The key that is sent in the header C(X-Api-Key).
      - If it is not set, the environment variable E(FLEETOPS_API_KEY) is used. Use the environment variable or a
        vaulted variable.
      - If the server refuses the key (status 401), the task fails for one host, and is skipped for the others without
        another call. Set C(any_errors_fatal) in a play of your own, so that its later tasks are not run for these.
    type: str
    required: true
  validate_certs:
    description:
      - Whether to verify the server's TLS certificate.
      - If it is not set, the environment variable E(FLEETOPS_VALIDATE_CERTS) is used. As for the other variables, an
        empty value counts as not set, and an invalid value is an error.
    type: bool
    default: true
  ca_path:
    description:
      - A file or folder of certificates (PEM) to trust instead of those that come with the Python library. In a folder,
        each file must be named by its hash (C(openssl rehash)). If there is no certificate in it, the task fails before
        anything is sent.
      - If it is not set, the environment variable E(FLEETOPS_CA_PATH) is used.
    type: path
  request_timeout:
    description:
      - Seconds within which the complete response must arrive, counted from the time the request was sent. Each retry
        (O(retries)) gets the full time again. A connection must be established within 5 seconds.
      - Restarts, diagnostics and live health checks get at least 60 seconds.
      - A response of more than 64 MiB (decompressed) is not read to its end and counts as invalid.
      - If it is not set, the environment variable E(FLEETOPS_REQUEST_TIMEOUT) is used.
    type: float
    default: 30
  retries:
    description:
      - How many times to retry a call that certainly was not executed, or that can safely be executed twice.
      - The pauses are about 0.5, 1, 2 ... 8 seconds. A C(Retry-After) header of the server can only make them longer,
        up to 120 seconds.
      - A write whose outcome is unknown is never sent again. Its effect is looked up instead.
      - If it is not set, the environment variable E(FLEETOPS_RETRIES) is used.
    type: int
    default: 3
  extra_headers:
    description:
      - Additional headers to send with each request, for example for a gateway in front of the server.
      - A value is masked in results if it has 16 or more characters, or if the name of the header says that it is
        secret, for example C(Authorization) or C(X-Gateway-Token).
      - If it is not set, the environment variable E(FLEETOPS_EXTRA_HEADERS) is used, in which it is written as JSON.
    type: dict
    default: {}
  api_trace:
    description:
      - Whether to return a list of all calls as RV(ignore:api_calls).
      - If it is not set, the environment variable E(FLEETOPS_API_TRACE) is used.
    type: bool
    default: false
requirements:
  - Python 3.11 or newer
  - requests
"""

    # The same options for inventory and lookup plugins. Where Ansible has variables, these can also set them.
    PLUGINS = r"""
options:
  api_url:
    description:
      - Address of the server, for example V(https://fleet.example.com).
      - Proxies are configured by the environment variables E(HTTPS_PROXY), E(HTTP_PROXY), E(ALL_PROXY) and E(NO_PROXY).
        A SOCKS proxy needs the Python package C(PySocks).
        Proxy settings of the operating system are not used.
      - The modules do not use the variable C(fleetops_api_url), nor C(fleetops_api_key). For tasks with another
        address or key than in the environment, set the options of the modules, for example with C(module_defaults).
    type: str
    required: true
    env:
      - name: FLEETOPS_API_URL
    vars:
      - name: fleetops_api_url
  api_key:
    description: The key that is sent in the header C(X-Api-Key). Set it in the environment or in a vaulted variable.
    type: str
    required: true
    env:
      - name: FLEETOPS_API_KEY
    vars:
      - name: fleetops_api_key
  validate_certs:
    description:
      - Whether to verify the server's TLS certificate.
      - For this option and the others, an empty value counts as not set, and an invalid value is an error.
    type: bool
    default: true
    env:
      - name: FLEETOPS_VALIDATE_CERTS
    vars:
      - name: fleetops_validate_certs
  ca_path:
    description:
      - A file or folder of certificates (PEM) to trust instead of those that come with the Python library. In a folder,
        each file must be named by its hash (C(openssl rehash)). If there is no certificate in it, the task fails before
        anything is sent.
    type: path
    env:
      - name: FLEETOPS_CA_PATH
    vars:
      - name: fleetops_ca_path
  request_timeout:
    description:
      - Seconds within which the complete response must arrive, counted from the time the request was sent. Each retry
        (O(retries)) gets the full time again. A connection must be established within 5 seconds.
      - A live health check gets at least 60 seconds.
      - A response of more than 64 MiB (decompressed) is not read to its end and counts as invalid.
    type: float
    default: 30
    env:
      - name: FLEETOPS_REQUEST_TIMEOUT
    vars:
      - name: fleetops_request_timeout
  retries:
    description: How many times to retry a call that can safely be executed twice.
    type: int
    default: 3
    env:
      - name: FLEETOPS_RETRIES
    vars:
      - name: fleetops_retries
  extra_headers:
    description:
      - Additional headers to send with each request, for example for a gateway in front of the server.
      - In the environment variable, write it as JSON.
    type: dict
    default: {}
    env:
      - name: FLEETOPS_EXTRA_HEADERS
    vars:
      - name: fleetops_extra_headers
requirements:
  - Python 3.11 or newer
  - requests
"""
