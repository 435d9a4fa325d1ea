# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be wrong with a database that is read. A room of its own: who catches it need not load frames."""

from __future__ import annotations


class DatabaseProblem(Exception):
    """The database cannot be read; the text says why and what to do."""


class NoDatabase(DatabaseProblem):
    """There is no database yet: nothing was ever synced."""
