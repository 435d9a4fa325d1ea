# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`make bench`: run every benchmark. The exit code is the number of benchmarks that missed their goal."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

missed = 0
for script in sorted(Path(__file__).parent.glob("[a-z]*.py")):
    print(f"\n== {script.stem}", flush=True)
    missed += subprocess.run([sys.executable, str(script)], check=False).returncode != 0
sys.exit(missed)
