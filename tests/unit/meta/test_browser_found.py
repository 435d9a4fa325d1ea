# Copyright (c) 2026, The fleetops.agents contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`make browser`: which browser the tests use, and the message if there is none (reports/2026-11 C7)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands import browser

ROOT = Path(__file__).resolve().parents[3]
# Starts and prints why it ends, like a program whose libraries are missing.
BROKEN = "echo 'error while loading shared libraries: libnss3.so' >&2; exit 127"
# apt-get of a distribution without the packages, and sudo that asks for a password.
WITHOUT = 'case "$*" in *update*) exit 0;; esac; echo "E: Unable to locate package" >&2; exit 100'
ASKS = "echo 'sudo: a password is required' >&2; exit 1"


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A machine without a browser and without a download of one. Returns the only folder of its PATH."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for needed in ("env", "sh", "true"):
        (programs / needed).symlink_to(f"/usr/bin/{needed}")
    monkeypatch.setattr(browser, "DOWNLOADS", tmp_path / "downloads")
    monkeypatch.setattr(browser, "APPLICATIONS", ())
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PLAYWRIGHT_DOWNLOAD_HOST", "http://127.0.0.1:9")
    for name in ("BROWSER", "CHROMIUM", "PLAYWRIGHT_BROWSERS_PATH"):
        monkeypatch.delenv(name, raising=False)
    browser.browser.cache_clear()
    yield programs
    browser.browser.cache_clear()


def program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    ("user", "programs", "message"),
    [
        (1000, {}, "there is no apt-get"),
        (1000, {"apt-get": WITHOUT}, "installing one with apt-get requires root, and there is no sudo"),
        (1000, {"apt-get": WITHOUT, "sudo": ASKS}, "sudo asks for a password"),
        (0, {"apt-get": WITHOUT}, "apt-get failed (Unable to locate package)"),
        (1000, {"apt-get": WITHOUT, "sudo": 'shift; exec "$@"'}, "apt-get failed (Unable to locate package)"),
        (1000, {"chromium": BROKEN}, "chromium does not start (error while loading shared libraries: libnss3.so)"),
    ],
)
def test_without_a_browser_the_command_ends_with_one_sentence_and_exit_code_2(
    bare: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    user: int,
    programs: dict[str, str],
    message: str,
) -> None:
    monkeypatch.setattr(os, "getuid", lambda: user)
    for name, script in programs.items():
        program(bare, name, script)
    if programs:
        # The row without programs shows that the download is tried; each try takes seconds.
        monkeypatch.setattr(browser, "from_playwright", lambda: "Playwright's download failed (no network)")
    assert browser.main([]) == 2
    out, err = capsys.readouterr()
    assert len(err.splitlines()) == 1 and message in err
    assert "Playwright's download failed" in err and "BROWSER=0" in err and "set CHROMIUM" in err
    assert "The tests use the browser" not in out


def test_a_browser_given_by_name_is_the_only_one_that_is_used(
    bare: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CHROMIUM", "/nowhere/chrome")
    assert browser.main([]) == 2
    output = capsys.readouterr()
    assert "CHROMIUM is /nowhere/chrome, which is not an executable program" in output.err and output.out == ""


def test_tests_that_open_no_page_need_no_browser(bare: Path, tmp_path: Path) -> None:
    run = [sys.executable, "-m", "tests.commands.browser"]
    environment = {**os.environ, "CHROMIUM": "/nowhere/chrome"}
    for chosen, code in (("tests/console/text/test_time_zone.py", 0), ("tests/console/browser/test_browser.py", 2)):
        done = subprocess.run(
            [*run, chosen], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr


@pytest.mark.parametrize("workers", ["0", "1"])
def test_with_browser_0_the_tests_that_need_one_are_left_out_by_name_and_counted(workers: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", workers, "-p", "no:cacheprovider", "-k", "hovering",
         "tests/console/browser/test_browser.py", "tests/console/text/test_time_zone.py"],
        cwd=ROOT, env={**os.environ, "BROWSER": "0"}, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert "NOT RUN tests/console/browser/test_browser.py::test_hovering" in done.stdout, done.stdout + done.stderr
    assert "1 browser tests not run" in done.stdout
    assert "ERROR" not in done.stdout


def test_the_desktop_variable_browser_leaves_out_no_test(monkeypatch: pytest.MonkeyPatch) -> None:
    # BROWSER is a common variable for the program that opens links.
    monkeypatch.setenv("BROWSER", "firefox")
    assert not browser.left_out()
    monkeypatch.setenv("BROWSER", "0")
    assert browser.left_out()
