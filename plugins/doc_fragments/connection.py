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
      - A proxy is taken from the environment variables E(HTTPS_PROXY), E(HTTP_PROXY), E(ALL_PROXY) and E(NO_PROXY). The
        operating system is not asked for one.
      - If it is not set, the environment variable E(FLEETOPS_API_URL) is used.
    type: str
    required: true
  api_key:
    description:
      - The key that is sent in the header C(X-Api-Key).
      - If it is not set, the environment variable E(FLEETOPS_API_KEY) is used. Prefer that, or a vaulted variable.
    type: str
    required: true
  validate_certs:
    description:
      - Whether the server's TLS certificate must be trusted.
      - If it is not set, the environment variable E(FLEETOPS_VALIDATE_CERTS) is used. As with the other variables, an
        empty one counts as not set, and one that cannot be read is refused.
    type: bool
    default: true
  ca_path:
    description:
      - A file of certificates (PEM), or a folder of them, to trust instead of those that the Python library brings.
        In a folder each is named by its hash (C(openssl rehash)). One that holds no certificate is refused before
        anything is sent.
      - If it is not set, the environment variable E(FLEETOPS_CA_PATH) is used.
    type: path
  request_timeout:
    description:
      - Seconds until an answer must be there as a whole, counted from when the call was sent, however slowly its parts
        arrive. Each repeat has this time anew (O(retries)). A connection must be made within 5 s.
      - A restart, a run of diagnostics and a live health check are given at least 60 s.
      - If it is not set, the environment variable E(FLEETOPS_REQUEST_TIMEOUT) is used.
    type: float
    default: 30
  retries:
    description:
      - How often a call is repeated that certainly was not carried out, or that may be carried out twice without harm.
      - The pauses are about 0.5, 1, 2 ... 8 s. A C(Retry-After) of the server can only make them longer, up to 120 s.
      - A write whose outcome is unknown is never sent again; it is looked up.
      - If it is not set, the environment variable E(FLEETOPS_RETRIES) is used.
    type: int
    default: 3
  extra_headers:
    description:
      - Further headers to send with each call, for a gateway in front of the server.
    type: dict
    default: {}
  api_trace:
    description:
      - Whether the result holds a row for each call under RV(ignore:api_calls).
      - If it is not set, the environment variable E(FLEETOPS_API_TRACE) is used.
    type: bool
    default: false
requirements:
  - requests
"""

    # The same options for inventory and lookup plugins, which also take variables where there are any.
    PLUGINS = r"""
options:
  api_url:
    description:
      - Address of the server, for example V(https://fleet.example.com).
      - A proxy is taken from the environment variables E(HTTPS_PROXY), E(HTTP_PROXY), E(ALL_PROXY) and E(NO_PROXY). The
        operating system is not asked for one.
    type: str
    required: true
    env:
      - name: FLEETOPS_API_URL
    vars:
      - name: fleetops_api_url
  api_key:
    description: The key that is sent in the header C(X-Api-Key). Prefer the environment, or a vaulted variable.
    type: str
    required: true
    env:
      - name: FLEETOPS_API_KEY
    vars:
      - name: fleetops_api_key
  validate_certs:
    description:
      - Whether the server's TLS certificate must be trusted.
      - An empty value of this and the other options counts as not set, and one that cannot be read is refused.
    type: bool
    default: true
    env:
      - name: FLEETOPS_VALIDATE_CERTS
    vars:
      - name: fleetops_validate_certs
  ca_path:
    description:
      - A file of certificates (PEM), or a folder of them, to trust instead of those that the Python library brings.
        In a folder each is named by its hash (C(openssl rehash)). One that holds no certificate is refused before
        anything is sent.
    type: path
    env:
      - name: FLEETOPS_CA_PATH
    vars:
      - name: fleetops_ca_path
  request_timeout:
    description:
      - Seconds until an answer must be there as a whole, counted from when the call was sent, however slowly its parts
        arrive. Each repeat has this time anew (O(retries)). A connection must be made within 5 s.
      - A live health check is given at least 60 s.
    type: float
    default: 30
    env:
      - name: FLEETOPS_REQUEST_TIMEOUT
    vars:
      - name: fleetops_request_timeout
  retries:
    description: How often a call is repeated that may be repeated without harm.
    type: int
    default: 3
    env:
      - name: FLEETOPS_RETRIES
    vars:
      - name: fleetops_retries
  extra_headers:
    description:
      - Further headers to send with each call, for a gateway in front of the server.
      - In the environment it is JSON text.
    type: dict
    default: {}
    env:
      - name: FLEETOPS_EXTRA_HEADERS
    vars:
      - name: fleetops_extra_headers
requirements:
  - requests
"""
