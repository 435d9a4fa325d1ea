# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The browser in which tests, pictures and measurements open the console's pages: which one, and how it gets here.

``python -m tests.commands.browser [ARGUMENTS OF PYTEST]`` is what `make test` does before the first test: it says
which browser there is, installs one when there is none, or ends with exit code 2 and one sentence. With BROWSER=0 in
the environment the tests that need one are left out. CHROMIUM names the program of a Chrome or Chromium that is not
found by itself.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from playwright.sync_api import Error, sync_playwright

CHECKOUT = Path(__file__).resolve().parents[2]
# Without windows first: their bars are pages of their own and cost a fifth of the CPU.
NAMES = (
    *("chromium-headless-shell", "chromium", "chromium-browser"),
    *("google-chrome", "google-chrome-stable", "chrome", "microsoft-edge"),
)
APPLICATIONS = tuple(
    Path(f"/Applications/{name}.app/Contents/MacOS/{name}") for name in ("Google Chrome", "Chromium", "Microsoft Edge")
)
PACKAGES = ("chromium-headless-shell", "chromium")
# Playwright's own program needs it, and neither package brings it.
LIBRARY = "libatomic1"
# What Playwright downloads: into the checkout's environment, and where other projects of the user have put it.
DOWNLOADS = CHECKOUT / ".venv" / "browsers"
DOWNLOADED = ("chrome-headless-shell", "headless_shell", "chrome", "Chromium", "Google Chrome for Testing")
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]


class NoBrowser(Exception):
    """There is none; the text says why, and what to do."""


def left_out() -> bool:
    """Whether BROWSER=0 leaves the tests out. Any other value is some program's own: BROWSER is a common variable."""
    return os.environ.get("BROWSER", "").strip() == "0"


def candidates() -> Iterator[Path]:
    """The programs that may be a Chrome or a Chromium, the preferred one first."""
    for name in NAMES:
        if found := shutil.which(name):
            yield Path(found)
    yield from (path for path in APPLICATIONS if path.is_file())
    caches = (os.environ.get("PLAYWRIGHT_BROWSERS_PATH"), "~/.cache/ms-playwright", "~/Library/Caches/ms-playwright")
    for folder in (DOWNLOADS, *(Path(place).expanduser() for place in caches if place)):
        for build in sorted(folder.glob("chromium*"), reverse=True):
            programs = (path for path in build.rglob("*") if path.name in DOWNLOADED and path.is_file())
            yield from (path for path in programs if os.access(path, os.X_OK))


def driver() -> str:
    """Why Playwright, which drives every browser, cannot be started; '' when it can."""
    told = run(sys.executable, "-m", "playwright", "--version", seconds=120)
    return told and f"Playwright, which drives the browser, does not start ({told})"


def start(program: Path) -> str:
    """Start it once; returns its version. Raises NoBrowser with the reason when it does not start."""
    try:
        with sync_playwright() as playwright:
            started = playwright.chromium.launch(executable_path=program, args=FLAGS, timeout=120_000)
            version = started.version
            started.close()
    except Error as error:
        # Playwright's message holds the whole command twice, and between many lines what the program said.
        told = re.search(r"\[err\] *(\S.*)", error.message) or re.search(r"did exit: (exitCode=\d+)", error.message)
        raise NoBrowser(f"{program} does not start ({told[1] if told else error.message.splitlines()[0]})") from error
    return version


@cache
def browser() -> tuple[Path, str]:
    """The first program that starts, and its version. Raises NoBrowser with what was found instead."""
    if trouble := driver():
        raise NoBrowser(trouble)
    named = os.environ.get("CHROMIUM", "").strip()
    if named:
        found = shutil.which(Path(named).expanduser())
        if found is None:
            raise NoBrowser(f"CHROMIUM names {named}, which is no program that can be started")
        return Path(found), start(Path(found))
    broken = []
    for program in candidates():
        try:
            return program, start(program)
        except NoBrowser as error:
            broken.append(str(error))
    raise NoBrowser("; ".join(broken) or "no Chrome or Chromium is on the path")


def from_debian() -> str:
    """Install a browser with apt-get, as root or by sudo when that asks for no password; returns why not, or ''."""
    if shutil.which("apt-get") is None:
        return "there is no apt-get to install one with"
    before: list[str] = []
    if os.getuid() != 0:
        if shutil.which("sudo") is None:
            return "only root could install one with apt-get, and there is no sudo"
        if run("sudo", "-n", "true"):
            return "only root could install one with apt-get, and sudo asks for a password"
        before = ["sudo", "-n"]
    apt = [*before, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-o", "Acquire::http::Timeout=20"]
    say("Installing a Chromium with apt-get.")
    # Package lists may be absent, or too old for the mirror; a mirror that fails may still have what is needed.
    updated = run(*apt, "update", seconds=600)
    told = ""
    for package in PACKAGES:
        told = run(*apt, "install", "-y", "--no-install-recommends", package, LIBRARY, seconds=1800)
        if not told:
            return ""
    return f"apt-get failed ({updated or told})"


def from_playwright() -> str:
    """Let Playwright download its own build into .venv/browsers; returns why that failed, or ''."""
    if driver():
        return "so Playwright cannot download one either"
    say("Downloading Playwright's Chromium.")
    # It asks each of its hosts several times, and 30 s each is its own default.
    limits = {"PLAYWRIGHT_DOWNLOAD_CONNECTION_TIMEOUT": "10000", "PLAYWRIGHT_BROWSERS_PATH": str(DOWNLOADS)}
    told = run(
        sys.executable, "-m", "playwright", "install", "--only-shell", "chromium", seconds=900, environment=limits
    )
    return told and f"Playwright's download failed ({told})"


def run(*command: str, seconds: float = 60, environment: dict[str, str] | None = None) -> str:
    """Run a command that asks nothing; returns '' when it did its work, else the line that says why not."""
    try:
        done = subprocess.run(
            command, env={**os.environ, **(environment or {})}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", timeout=seconds, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return ""
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("E:", "Error"))]
    return (errors or lines or [f"exit code {done.returncode}"])[0].removeprefix("E: ").removeprefix("Error: ")


def bring(reason: str) -> tuple[Path, str]:
    """Install a browser where there was none for this reason. Raises NoBrowser with one sentence."""
    reasons = [reason]
    for installs in () if os.environ.get("CHROMIUM", "").strip() else (from_debian, from_playwright):
        if reason := installs():
            reasons.append(reason)
            continue
        try:
            return browser()
        except NoBrowser as error:
            reasons.append(str(error))
    raise NoBrowser(
        f"The tests of the console's pages need a Chrome or Chromium: {'; '.join(reasons)}. Install one (Debian: "
        f"apt-get install {PACKAGES[0]} {LIBRARY}), name its program with CHROMIUM=/path/to/it, or leave these tests "
        "out with BROWSER=0."
    )


class Needy:
    """A plugin of pytest: how many of the tests that were chosen need a browser."""

    count = 0

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.count = sum(map(needs_browser, session.items))


def needs_browser(item: pytest.Item) -> bool:
    """Whether a test opens a page in a browser."""
    return "browser" in getattr(item, "fixturenames", ())


def chosen(arguments: list[str]) -> int:
    """How many of the tests that these arguments of pytest choose need a browser; 1 when they cannot be read."""
    counted = Needy()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        code = pytest.main(["--collect-only", "-qq", "-p", "no:cacheprovider", *arguments], plugins=[counted])
    return counted.count if code in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) else 1


def say(text: str) -> None:
    print(text, flush=True)


def main(arguments: list[str]) -> int:
    """Say which browser there is, and bring one when there is none and a test that was chosen needs it."""
    if left_out():
        say("BROWSER=0: the tests that need a browser are left out, and counted at the end.")
        return 0
    try:
        try:
            program, version = browser()
        except NoBrowser as error:
            if arguments and chosen(arguments) == 0:
                return 0
            program, version = bring(str(error))
    except NoBrowser as error:
        print(error, file=sys.stderr)
        return 2
    say(f"The browser of the tests is {program} ({version}).")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
