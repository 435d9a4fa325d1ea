# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find or install the browser in which tests, screenshots and benchmarks open the console's pages.

`make test` runs ``python -m tests.commands.browser [PYTEST ARGUMENTS]`` before the first test. It prints which browser
is used, and installs one if there is none; if that fails, it prints the reason and exits with code 2. With BROWSER=0 in
the environment, the tests that need a browser are not run. CHROMIUM is the path of a Chrome or Chromium that is not
found automatically.
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
# The headless program comes first: the window bars of the others are pages, which take a fifth of the CPU time.
NAMES = (
    *("chromium-headless-shell", "chromium", "chromium-browser"),
    *("google-chrome", "google-chrome-stable", "chrome", "microsoft-edge"),
)
APPLICATIONS = tuple(
    Path(f"/Applications/{name}.app/Contents/MacOS/{name}") for name in ("Google Chrome", "Chromium", "Microsoft Edge")
)
PACKAGES = ("chromium-headless-shell", "chromium")
# Playwright's driver needs this library, and neither package depends on it.
LIBRARY = "libatomic1"
# The folder into which this checkout downloads Playwright's builds, and the names of the programs in them.
DOWNLOADS = CHECKOUT / ".venv" / "browsers"
DOWNLOADED = ("chrome-headless-shell", "headless_shell", "chrome", "Chromium", "Google Chrome for Testing")
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]


class NoBrowser(Exception):
    """There is no browser; the message gives the reason."""


def left_out() -> bool:
    """Whether BROWSER=0 is set. Any other value is not for the tests, because BROWSER is a common variable."""
    return os.environ.get("BROWSER", "").strip() == "0"


def candidates() -> Iterator[Path]:
    """The programs that may be a Chrome or Chromium, in order of preference."""
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
    """The reason why Playwright, which drives every browser, does not start, or an empty string."""
    error = run(sys.executable, "-m", "playwright", "--version", seconds=120)
    return error and f"Playwright, which drives the browser, does not start ({error})"


def start(program: Path) -> str:
    """Start the program once and return its version. Raises NoBrowser if it does not start."""
    try:
        with sync_playwright() as playwright:
            started = playwright.chromium.launch(executable_path=program, args=FLAGS, timeout=120_000)
            version = started.version
            started.close()
    except Error as error:
        # Playwright's message contains the command twice, and somewhere among its lines the output of the program.
        found = re.search(r"\[err\] *(\S.*)", error.message) or re.search(r"did exit: (exitCode=\d+)", error.message)
        raise NoBrowser(f"{program} does not start ({found[1] if found else error.message.splitlines()[0]})") from error
    return version


@cache
def browser() -> tuple[Path, str]:
    """The first program that starts, and its version. Raises NoBrowser with the reasons why none does."""
    if trouble := driver():
        raise NoBrowser(trouble)
    named = os.environ.get("CHROMIUM", "").strip()
    if named:
        found = shutil.which(Path(named).expanduser())
        if found is None:
            raise NoBrowser(f"CHROMIUM is {named}, which is not an executable program")
        return Path(found), start(Path(found))
    broken = []
    for program in candidates():
        try:
            return program, start(program)
        except NoBrowser as error:
            broken.append(str(error))
    raise NoBrowser("; ".join(broken) or "no Chrome or Chromium was found")


def from_debian() -> str:
    """Install a browser with apt-get, as root or by sudo without a password. Returns the reason if it fails, or ''."""
    if shutil.which("apt-get") is None:
        return "there is no apt-get to install one"
    before: list[str] = []
    if os.getuid() != 0:
        if shutil.which("sudo") is None:
            return "installing one with apt-get requires root, and there is no sudo"
        if run("sudo", "-n", "true"):
            return "installing one with apt-get requires root, and sudo asks for a password"
        before = ["sudo", "-n"]
    apt = [*before, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-o", "Acquire::http::Timeout=20"]
    say("Installing a Chromium with apt-get.")
    # The package lists may be missing or outdated. If the update fails, the installation may still succeed.
    updated = run(*apt, "update", seconds=600)
    error = ""
    for package in PACKAGES:
        error = run(*apt, "install", "-y", "--no-install-recommends", package, LIBRARY, seconds=1800)
        if not error:
            return ""
    return f"apt-get failed ({updated or error})"


def from_playwright() -> str:
    """Let Playwright download its own build into .venv/browsers. Returns the reason if it fails, or ''."""
    if driver():
        return "therefore Playwright cannot download one either"
    say("Downloading Playwright's Chromium.")
    # Playwright tries each of its hosts several times, by default with a timeout of 30 s.
    limits = {"PLAYWRIGHT_DOWNLOAD_CONNECTION_TIMEOUT": "10000", "PLAYWRIGHT_BROWSERS_PATH": str(DOWNLOADS)}
    error = run(
        sys.executable, "-m", "playwright", "install", "--only-shell", "chromium", seconds=900, environment=limits
    )
    return error and f"Playwright's download failed ({error})"


def run(*command: str, seconds: float = 60, environment: dict[str, str] | None = None) -> str:
    """Run a command without input. Returns '' if it succeeded, otherwise the line of its output with the error."""
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
    """Install a browser; ``reason`` is why there is none. Raises NoBrowser with one sentence."""
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
        f"apt-get install {PACKAGES[0]} {LIBRARY}), set CHROMIUM to the path of its program, or skip these tests with "
        "BROWSER=0."
    )


class BrowserTests:
    """A pytest plugin that counts the selected tests that need a browser."""

    count = 0

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.count = sum(map(needs_browser, session.items))


def needs_browser(item: pytest.Item) -> bool:
    """Whether a test opens a page in a browser."""
    return "browser" in getattr(item, "fixturenames", ())


def chosen(arguments: list[str]) -> int:
    """How many of the tests that these pytest arguments select need a browser; 1 if the collection fails."""
    counted = BrowserTests()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        code = pytest.main(["--collect-only", "-qq", "-p", "no:cacheprovider", *arguments], plugins=[counted])
    return counted.count if code in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) else 1


def say(text: str) -> None:
    print(text, flush=True)


def main(arguments: list[str]) -> int:
    """Print which browser is used; install one if there is none and a selected test needs it."""
    if left_out():
        say("BROWSER=0: the tests that need a browser are not run, and listed at the end.")
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
    say(f"The tests use the browser {program} ({version}).")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
