# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Which certificates a server is checked against, and whether they can be read at all."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

# How OpenSSL looks up a certificate in a folder.
_HASHED = re.compile(r"[0-9a-f]{8}\.\d+")


class Trust(NamedTuple):
    """``verify`` is what requests takes: false, true (its own certificates), or a file or folder of certificates.

    ``name``: the option or the environment variable that gave the path.
    """

    verify: bool | str
    name: str

    def problem(self, certificates_in: Callable[[str], int]) -> str | None:
        """Why the certificates cannot be used, with the path; None if they can.

        ``certificates_in`` counts those of a file, and raises OSError if it cannot be opened.
        """
        if isinstance(self.verify, bool):
            return None
        path = Path(self.verify)
        try:
            if path.is_dir():
                if any(_HASHED.fullmatch(entry.name) for entry in path.iterdir()):
                    return None
                return (
                    f"{self.name} {path} is a folder without a certificate that OpenSSL could find; "
                    "name a file, or run openssl rehash on the folder"
                )
            if not path.exists():
                return f"{self.name} {path} does not exist"
            if not path.is_file():
                return f"{self.name} {path} is neither a file nor a folder"
            count = certificates_in(str(path))
        except (OSError, ValueError) as problem:
            return f"{self.name} {path} cannot be read ({getattr(problem, 'strerror', None) or problem})"
        return None if count else f"{self.name} {path} holds no certificate (PEM) that can be read"


def trust_of(validate_certs: bool, ca_path: str | None, environ: Mapping[str, str]) -> Trust:
    """The setting, else what the environment says to every program that uses requests, else requests' own."""
    if not validate_certs:
        return Trust(False, "validate_certs")
    if ca_path:
        # Not pathlib's, which raises for a user that is not there.
        return Trust(os.path.expanduser(ca_path), "ca_path")  # noqa: PTH111
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if path := environ.get(variable, "").strip():
            return Trust(path, variable)
    return Trust(True, "requests")
