"""Continuous integration says what was skipped, and fails for what should not have been."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import skips

CONFTEST = "import skips\n\n\ndef pytest_configure(config):\n    skips.watch(config)\n"

ALLOWED = """
import pytest

torch = pytest.importorskip("torch_of_the_future", reason="compares with PyTorch")
"""

TESTS = """
import pytest

@pytest.fixture
def recordings():
    pytest.skip("real recordings: set AUDIOCONV_TEST_DATA to their folder")

def test_with_recordings(recordings): ...

@pytest.mark.skipif(True, reason="root may read everything")
def test_as_root(): ...

@pytest.mark.xfail(reason="known", strict=True)
def test_known():
    assert False

def test_that_runs(): ...
"""

REFUSED = {
    "of a fixture": ("def test_one(tmp_path):\n    pytest.skip('needs the moon')", "::test_one"),
    "of a mark": ("@pytest.mark.skip(reason='needs the moon')\ndef test_two(): ...", "::test_two"),
    "of a whole file": ("pytest.skip('needs the moon', allow_module_level=True)", ""),
    "of a module that is missing": ("pytest.importorskip('no_such_module', reason='needs the moon')", ""),
}


def run(folder, *arguments, **environment):
    others = {name: value for name, value in os.environ.items() if name not in ("CI", skips.VARIABLE)}
    path = os.pathsep.join([str(Path(skips.__file__).parent), *filter(None, [others.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=folder, env={**others, "PYTHONPATH": path, **environment}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_allowed.py").write_text(ALLOWED)
    (tmp_path / "test_some.py").write_text(TESTS)
    return tmp_path


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["", "in parallel"])
def test_what_was_skipped_is_listed_and_what_was_missing_is_written_down(folder, workers):
    if workers:
        pytest.importorskip("xdist")
    found = run(folder, *workers, CI="true", **{skips.VARIABLE: str(folder / "missing")})
    assert found.returncode == 0, found.stdout
    assert "   1  test_allowed.py: compares with PyTorch" in found.stdout
    assert "   1  test_some.py: root may read everything" in found.stdout
    assert "   1  test_some.py: real recordings: set AUDIOCONV_TEST_DATA to their folder" in found.stdout
    assert (folder / "missing").read_text() == "PyTorch\nreal recordings\n"
    assert "ERROR" not in found.stdout


def test_a_skip_that_is_not_listed_fails_and_is_named(folder):
    for place, (source, _) in enumerate(REFUSED.values()):
        (folder / f"test_refused_{place}.py").write_text(f"import pytest\n\n\n{source}\n")
    found = run(folder, CI="true")
    assert found.returncode == 1, found.stdout
    for place, (_, test) in enumerate(REFUSED.values()):
        name = f"test_refused_{place}.py{test}"
        assert f"ERROR: {name} was skipped, which CI does not allow: needs the moon" in found.stdout
    assert "tests/skips.py" in found.stdout


@pytest.mark.slow
@pytest.mark.parametrize("case", REFUSED)
def test_one_skip_that_is_not_listed_is_enough(folder, case):
    (folder / "test_refused.py").write_text(f"import pytest\n\n\n{REFUSED[case][0]}\n")
    assert run(folder, CI="true").returncode == 1


def test_elsewhere_whatever_is_skipped_is_fine(folder):
    (folder / "test_refused.py").write_text("import pytest\n\n\n@pytest.mark.skip(reason='no')\ndef test_two(): ...\n")
    found = run(folder)
    assert found.returncode == 0
    assert "ERROR" not in found.stdout


@pytest.mark.slow
@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_what_is_for_some_systems_only_may_be_skipped_on_the_others(platform):
    """Every mark whose condition asks for the system has a reason that is allowed there."""
    asks = re.compile(r"sys\.platform|os\.(name|sep)|hasattr\(os|platform\.machine|FULL|/dev/full")
    found = {}
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.skipif":
                condition, reason = ast.unparse(node.args[0]), node.keywords[0].value
                if asks.search(condition) and not (platform == "darwin" and re.search("win32|'nt'|os.sep", condition)):
                    found[ast.literal_eval(reason)] = path.name
    assert len(found) > 5
    patterns = skips.allowed(platform)
    of_unix = {"needs named pipes", "needs pseudo-terminals", "no fork on this system"}  # macOS is one
    refused = {reason for reason in found if not any(re.match(pattern, reason) for pattern in patterns)}
    assert refused - (of_unix if platform == "darwin" else set()) == set()


def test_linux_has_what_others_lack():
    assert skips.allowed("linux") == skips.ALLOWED
