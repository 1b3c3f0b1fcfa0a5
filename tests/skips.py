"""Which tests continuous integration may skip: where `CI` is set, a reason that is not listed here fails the session.

Otherwise a run looks whole in which the tests that compare with others, or with real recordings, were left out.
"""

from __future__ import annotations

import os
import re
import sys
from collections import Counter

import pytest

ALLOWED = {
    # What cannot be installed or had everywhere; `.ci/run` says in its last line that it was missing.
    r"could not import 'torch'|compares with PyTorch": "PyTorch",
    r"real recordings: set AUDIOCONV_TEST_DATA": "real recordings",
    r"real archives: set AUDIOCONV_MIRROR|AUDIOCONV_MIRROR has no \S+": "archives of data sets",
    r"needs MPI: pip install": "MPI",
    r"needs Slurm": "Slurm",
    r"needs network namespaces": "network namespaces",
    r"needs a browser": "Chromium",
    r"needs the npm package onnxruntime-web": "ONNX Runtime Web",
    r"needs the npm package axe-core": "axe-core",
    r"needs the package playwright": "Playwright",
    r"needs the packages? \S+, which carr(y|ies) a real ": "real voices and networks",
    r"needs the C compiler \S+": "C compilers",
    r"needs the program openssl": "openssl",
    r"needs the shell \S+": "shells (bash, zsh, fish)",
    r"needs gcc-arm-none-eabi and qemu-system-arm": "a compiler and an emulator for Cortex-M",
    r"needs TensorFlow Lite Micro": "TensorFlow Lite Micro",
    r"needs pyopen-wakeword": "pyopen-wakeword",
    # What a machine that runs tests as root has not, and cases of a table that mean nothing.
    r"root may read everything|all files are readable to root": "",
    r"this file system takes UTF-8 names only|this file system does not take such names": "",
    r"a folder is a data set": "",
    r"PyTorch divides by zero where warm-up is one step long": "",
}
"""Patterns of reasons, and what is missing then; nothing where that is no loss."""

NOT_LINUX = (
    r"needs /dev/full|no /dev/full on this system",
    r"limits its memory by /proc and RLIMIT_AS",
    r"reads the memory of a process in /proc",
    r"needs a file system that takes any bytes as a name",
    r"compiles for another processor",
    r"sets CPU affinity",
)
"""Reasons that hold on systems other than Linux only."""

WINDOWS = (
    r"could not import '(resource|pty)'|needs limits of a process|measures memory as Unix does",
    r"(kills|ends) by signal|needs (named pipes|pseudo-terminals|descriptors as POSIX has them)|no fork on this system",
    r"symbolic links|POSIX permissions and links|there, backslashes separate folders",
    r"the scripts are for bash on Unix|Windows has no shared locks",
)
"""Reasons that hold on Windows only."""

VARIABLE = "AUDIOCONV_MISSING"
"""Names the file to which each name of what was missing is added, a line each."""


def watch(config: pytest.Config) -> None:
    """Let the session fail for a skipped test that is not allowed to be, if this is continuous integration."""
    if os.environ.get("CI") and not hasattr(config, "workerinput"):  # a worker of pytest-xdist tells its controller
        config.pluginmanager.register(_Watch(), "audioconv-skips")


def missing(reason: str) -> str | None:
    """Return what is missing where a test is skipped for `reason`, maybe nothing; None if it may not be skipped."""
    return next((name for pattern, name in allowed(sys.platform).items() if re.match(pattern, reason)), None)


def allowed(platform: str) -> dict[str, str]:
    """Return the patterns that hold on a system, as `sys.platform` names it, and what is missing then."""
    elsewhere = () if platform == "linux" else NOT_LINUX
    return ALLOWED | dict.fromkeys((*elsewhere, *(WINDOWS if platform == "win32" else ())), "")


class _Watch:
    def __init__(self) -> None:
        self._skipped: dict[str, str] = {}

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._note(report)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not hasattr(report, "wasxfail"):
            self._note(report)

    def _note(self, report: pytest.CollectReport | pytest.TestReport) -> None:
        if report.skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            self._skipped[report.nodeid] = " ".join(reason.removeprefix("Skipped: ").split())

    def _refused(self) -> dict[str, str]:
        return {test: reason for test, reason in self._skipped.items() if missing(reason) is None}

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._refused() and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        path = os.environ.get(VARIABLE)
        if path:
            names = {missing(reason) or "" for reason in self._skipped.values()} - {""}
            with open(path, "a", encoding="utf-8") as file:
                file.writelines(f"{name}\n" for name in sorted(names))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self._skipped:
            return
        terminalreporter.section("skipped")
        groups = Counter((test.partition("::")[0], reason) for test, reason in self._skipped.items())
        for (file, reason), count in sorted(groups.items()):
            terminalreporter.line(f"{count:4}  {file}: {reason}")
        for test, reason in sorted(self._refused().items()):
            terminalreporter.line(f"ERROR: {test} was skipped, which CI does not allow: {reason}", red=True)
        if self._refused():
            terminalreporter.line("Let it run, or list the reason in tests/skips.py.", red=True)
