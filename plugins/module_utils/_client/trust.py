# Copyright (c) 2026, The fleetops.agents contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

"""Which certificates are trusted, and whether they can be read."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

# The names by which OpenSSL finds certificates in a folder.
_HASHED = re.compile(r"[0-9a-f]{8}\.\d+")


class Trust(NamedTuple):
    """``verify``: the value for requests: false, true (its own certificates), or a file or folder.

    ``name``: the option or the environment variable that the value comes from.
    """

    verify: bool | str
    name: str

    def problem(self, certificates_in: Callable[[str], int]) -> str | None:
        """Why the certificates cannot be used, as a phrase with the path; None if they can.

        ``certificates_in(path)`` is the number of certificates in a file. It raises OSError if the file cannot be
        opened.
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
        return None if count else f"{self.name} {path} contains no readable certificate (PEM)"


def trust_of(validate_certs: bool, ca_path: str | None, environ: Mapping[str, str]) -> Trust:
    """The certificates of ``ca_path``, else of the variables of requests, else those that come with requests."""
    if not validate_certs:
        return Trust(False, "validate_certs")
    if ca_path:
        # Path.expanduser raises an error for an unknown user.
        return Trust(os.path.expanduser(ca_path), "ca_path")  # noqa: PTH111
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if path := environ.get(variable, "").strip():
            return Trust(path, variable)
    return Trust(True, "requests")
