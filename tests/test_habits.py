"""What `.github`, `.pre-commit-config.yaml` and the release check say agrees with `pyproject.toml` and the scripts."""

from __future__ import annotations

import importlib.util
import io
import os
import re
import sys
import tarfile
import tomllib
import wave
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
import yaml

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(not (ROOT / ".github").is_dir(), reason="the scripts are not beside the tests")

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
VERSIONS = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))


def load(name: str) -> dict:
    return yaml.safe_load((ROOT / name).read_text("utf-8"))


@pytest.fixture(scope="module")
def workflow() -> dict:
    return load(".github/workflows/tests.yml")


@pytest.fixture(scope="module")
def archives() -> ModuleType:
    return imported("archives")


def imported(name: str) -> ModuleType:
    """Return a module of `scripts/releasing`."""
    path = ROOT / "scripts" / "releasing" / f"{name}.py"
    specification = importlib.util.spec_from_file_location(f"releasing_{name}", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def commands(workflow: dict) -> list[str]:
    return [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]


def test_the_matrix_has_the_versions_of_the_classifiers(workflow):
    matrix = workflow["jobs"]["tests"]["strategy"]["matrix"]
    assert matrix["python"] == VERSIONS
    assert PROJECT["requires-python"] == f">={VERSIONS[0]},<3.{int(VERSIONS[-1].split('.')[1]) + 1}"
    assert matrix["system"] == ["ubuntu-latest"]
    others = {(job["system"], job["python"]) for job in matrix["include"]}
    systems = ("macos-latest", "windows-latest")
    assert others == {(system, version) for system in systems for version in (VERSIONS[0], VERSIONS[-1])}
    for job in workflow["jobs"].values():
        for step in job["steps"]:
            version = step.get("with", {}).get("python-version", VERSIONS[0])
            assert version in (*VERSIONS, "${{ matrix.python }}")


def test_commands_name_scripts_tests_and_extras_that_exist(workflow):
    named = [
        word for command in commands(workflow) for word in command.split() if word.startswith(("scripts/", "tests/"))
    ]
    assert {"scripts/test", "scripts/lint"} <= set(named)
    for name in named:
        assert (ROOT / name).exists(), name
        assert not name.startswith("scripts/") or os.access(ROOT / name, os.X_OK), name
    assert workflow["jobs"]["bare"]["env"]["AUDIOCONV_TEST_EXTRAS"] in PROJECT["optional-dependencies"]


def test_without_extras_no_extra_is_installed():
    extras = {
        name: {re.split(r"[><=;\[]", each)[0] for each in needed}
        for name, needed in PROJECT["optional-dependencies"].items()
    }
    optional = set().union(
        *(extras[name] for name in re.findall(r"\w+", PROJECT["optional-dependencies"]["all"][0])[1:])
    )
    assert optional - {"audioconv"} >= {"pillow", "matplotlib", "onnxruntime"}
    assert optional.isdisjoint(extras["test"])


def test_the_workflow_may_read_only_and_ends_older_runs(workflow):
    assert workflow["permissions"] == {"contents": "read"}
    assert "cancel-in-progress" in workflow["concurrency"]
    assert workflow[True].keys() >= {"push", "pull_request"}  # YAML reads the key `on` as true
    for job in workflow["jobs"].values():
        assert "permissions" not in job
        assert job["timeout-minutes"] <= 120
        for step in job["steps"]:
            assert "uses" not in step or re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"])


def test_hooks_are_the_checks_of_the_lint_script(workflow):
    hooks = [hook for repository in load(".pre-commit-config.yaml")["repos"] for hook in repository["hooks"]]
    default = re.search(r"\|\| set -- (.+)$", (ROOT / "scripts" / "lint").read_text("utf-8"), re.MULTILINE)
    assert [hook["entry"] for hook in hooks] == [f"scripts/lint {name}" for name in default[1].split()]
    assert "scripts/lint" in commands(workflow)
    for hook in hooks:
        assert any(re.search(hook.get("files", ""), name) for name in ("audioconv/__init__.py",))


def test_bug_reports_ask_for_the_doctor():
    fields = {part["id"]: part for part in load(".github/ISSUE_TEMPLATE/bug.yml")["body"]}
    assert fields.keys() >= {"command", "expected", "got", "doctor"}
    assert "audioconv doctor" in fields["doctor"]["attributes"]["label"]
    assert all(fields[name]["validations"]["required"] for name in ("command", "expected", "got", "doctor"))


TRACKED = {"LICENSE", "README.md", "audioconv/__init__.py", "audioconv/py.typed", "tests/test_one.py", "docs/page.md",
           "audioconv/recipe/words.safetensors", "tests/data.npz", "tests/export/cortex_m/startup.c",
           "audioconv/beep.wav"}  # fmt: skip
PACKAGE = ["audioconv/__init__.py", "audioconv/py.typed", "audioconv/recipe/words.safetensors"]


def write_wheel(folder, names, version="1.2.3"):
    path = folder / f"audioconv-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as file:
        for name in (*names, "audioconv-1.2.3.dist-info/METADATA", "audioconv-1.2.3.dist-info/licenses/LICENSE"):
            file.writestr(name, "")
    return path


def write_source(folder, names, version="1.2.3"):
    path = folder / f"audioconv-{version}.tar.gz"
    with tarfile.open(path, "w:gz") as file:
        for name in (*names, "PKG-INFO"):
            file.addfile(tarfile.TarInfo(f"audioconv-{version}/{name}"), io.BytesIO())
    return path


def test_archives_as_they_should_be(archives, tmp_path):
    tracked = TRACKED - {"audioconv/beep.wav"}
    assert list(archives.content_problems(write_wheel(tmp_path, PACKAGE), tracked)) == []
    source = write_source(tmp_path, [*PACKAGE, "LICENSE", "README.md", "tests/test_one.py"])
    assert list(archives.content_problems(source, tracked)) == []


def test_the_tests_have_no_file_that_the_source_distribution_may_not_contain(archives, tmp_path):
    paths = [path for path in (ROOT / "tests").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    files = [*PACKAGE, "LICENSE", *(path.relative_to(ROOT).as_posix() for path in paths)]
    assert len(files) > 200
    assert list(archives.content_problems(write_source(tmp_path, files), set(files))) == []


@pytest.mark.parametrize(
    ("name", "wheel", "source"),
    [
        ("audioconv/scratch.py", "is not tracked by git", "is not tracked by git"),
        ("audioconv/beep.wav", "is a recording", "is a recording"),
        ("tests/data.npz", "belongs to the tests", "belongs to the tests"),
        ("tests/test_one.py", "belongs to the tests", None),
        ("tests/export/cortex_m/startup.c", "belongs to the tests", None),
    ],
)
def test_what_archives_should_not_contain(archives, tmp_path, name, wheel, source):
    tracked = TRACKED if name.endswith("wav") else TRACKED - {"audioconv/beep.wav"}
    made = {write_wheel(tmp_path, [*PACKAGE, name]): wheel, write_source(tmp_path, [*PACKAGE, "LICENSE", name]): source}
    for archive, problem in made.items():
        expected = [f"{archive.name}: {name} {problem}"] if problem else []
        assert list(archives.content_problems(archive, tracked)) == expected


def test_what_archives_lack(archives, tmp_path):
    tracked = TRACKED - {"audioconv/beep.wav"}
    missing = [f"{name} is missing" for name in ("LICENSE", *sorted(PACKAGE))] + ["has no pretrained network"]
    found = [each.partition(": ")[2] for each in archives.content_problems(write_source(tmp_path, []), tracked)]
    assert found == missing


@pytest.mark.parametrize(
    ("changelog", "tags", "problem"),
    [
        ("## [Unreleased]\n", [], None),
        ("## [1.2.3] - 2026-01-31\n\n## [1.2.2] - 2025-01-31\n", ["v1.2.3"], None),
        ("## [1.2.3] - 2026-01-31\n", ["data-2"], None),
        ("## [1.2.3]\n", [], "the section [1.2.3] has no date"),
        ("## [Unreleased]\n", ["v1.2.3"], "its first section is [Unreleased], not [1.2.3]"),
        ("## [1.2.2] - 2025-01-31\n", [], "its first section is [1.2.2], not [1.2.3]"),
        ("", [], "its first section is [], not [1.2.3]"),
        ("## [1.2.3] - 2026-01-31\n", ["v1.2.4"], "tag v1.2.4: audioconv/_version.py names version 1.2.3"),
    ],
)
def test_versions_agree(archives, tmp_path, changelog, tags, problem):
    found = list(archives.version_problems("1.2.3", [write_wheel(tmp_path, [])], changelog, tags))
    assert len(found) == bool(problem)
    assert all(each.endswith(problem) for each in found)


def test_archives_of_another_version(archives, tmp_path):
    made = [write_wheel(tmp_path, [], "1.2.30"), write_source(tmp_path, [], "1.2.2")]
    found = list(archives.version_problems("1.2.3", made, "## [Unreleased]\n", []))
    assert [each.split(": ")[0] for each in found] == [path.name for path in made]


def test_the_changelog_and_the_package_agree_today(archives):
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert list(archives.version_problems(archives.package_version(), [], changelog, [])) == []


def test_tones_of_the_release_check(tmp_path, monkeypatch):
    tones = imported("tones")
    monkeypatch.setattr(sys, "argv", ["tones.py", str(tmp_path)])
    tones.main()
    assert len(list(tmp_path.glob("tones/*/*.wav"))) == 2 * tones.CLIPS
    with wave.open(str(tmp_path / "new" / "high.wav")) as file:
        assert (file.getframerate(), file.getnframes()) == (tones.SAMPLE_RATE, 1000)


def test_lines_of_the_documentation_are_within_120_columns():
    """Rows of tables cannot be broken."""
    pages = [*(ROOT / "docs").rglob("*.md"), *(ROOT / f"{name}.md" for name in ("README", "CHANGELOG", "CONTRIBUTING"))]
    long = [
        f"{page.relative_to(ROOT)}:{number}"
        for page in pages
        for number, line in enumerate(page.read_text("utf-8").splitlines(), 1)
        if len(line) > 120 and not line.lstrip().startswith("|")
    ]
    assert long == []
