"""Imports point one way only, and importing the package costs next to nothing."""

from __future__ import annotations

import ast
import subprocess
import sys
import time
from pathlib import Path

import pytest

import audioconv

PACKAGE = Path(audioconv.__file__).parent

# A part (a module or a package) may import what stands above it here. Parts of one line do not import each other.
ORDER = [
    line.split()
    for line in """
    _types _version errors
    decision geometry io kernels
    evaluation features images runtime
    audio ops
    datasets layers
    architectures compiler tts
    model training
    pipeline streaming
    recipe
    classifier explaining report
    cli
    __main__
    """.strip().splitlines()
]
LEVEL = {part: number for number, parts in enumerate(ORDER) for part in parts}

# What these may reach at all, through whatever they import.
BASE = {"_types", "_version", "errors"}
REACH = {
    "geometry": BASE,
    "kernels": BASE,
    "runtime": BASE | {"geometry", "kernels"},
    "ops": BASE | {"geometry", "kernels", "runtime"},
    "layers": BASE | {"geometry", "kernels", "ops", "runtime"},
    "compiler": BASE | {"geometry", "kernels", "layers", "ops", "runtime"},
    "features": BASE | {"kernels"},
    "audio": BASE | {"features", "io", "kernels"},
    "images": BASE | {"io", "kernels"},
    "datasets": BASE | {"audio", "decision", "features", "images", "io", "kernels"},
    "training": BASE | {"compiler", "geometry", "io", "kernels", "layers", "ops", "runtime"},
}


def imported(source):
    """Yield the parts of the package that a source imports, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            package, _, rest = name.partition(".")
            if package == "audioconv":
                yield "_version" if rest == "__version__" else rest.split(".")[0]


def imports_by_part():
    """Return which other parts each part imports. The package's own file only names where things are."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        part = path.relative_to(PACKAGE).with_suffix("").parts[0]
        if part != "__init__":
            found.setdefault(part, set()).update(set(imported(path.read_text(encoding="utf-8"))) - {part})
    return found


IMPORTS = imports_by_part()


def reach(part, seen=()):
    """Return all parts that importing `part` may load; an import that leads back to itself is an error."""
    assert part not in seen, f"imports run in a circle: {' -> '.join((*seen, part))}"
    return set().union(*({target} | reach(target, (*seen, part)) for target in IMPORTS.get(part, ())))


def test_every_part_has_its_place_in_the_order():
    assert set(IMPORTS) == set(IMPORTS) & set(LEVEL), f"place {sorted(set(IMPORTS) - set(LEVEL))} in ORDER"


@pytest.mark.parametrize("part", sorted(set(IMPORTS) & set(LEVEL)))
def test_imports_point_one_way(part):
    against = {target for target in IMPORTS[part] & set(LEVEL) if LEVEL[target] >= LEVEL[part]}
    assert not against, f"{part} imports {sorted(against)}, which do not stand above it"
    reach(part)


@pytest.mark.parametrize("part", sorted(REACH))
def test_the_cores_stay_apart(part):
    assert reach(part) <= REACH[part]


def test_the_reader_of_imports_sees_them_all():
    source = "import audioconv.ops as o, numba\nfrom audioconv import layers, __version__\n"
    source += "def f():\n    from audioconv.audio.read import read\n"
    assert sorted(imported(source)) == ["_version", "audio", "layers", "ops"]


# --- what an import costs ------------------------------------------------------------------------------------------

HEAVY = {"numba", "llvmlite", "librosa", "sklearn", "scipy", "soundfile", "soxr", "PIL", "matplotlib", "torch", "rich"}


def loaded_by(statement):
    """Return the top-level modules that a fresh interpreter has after `statement`."""
    program = f"{statement}; import sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    return set(
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    )


def test_importing_the_package_loads_no_heavy_library():
    assert not loaded_by("import audioconv") & HEAVY
    assert not loaded_by("import audioconv; dir(audioconv); audioconv.AudioconvError") & HEAVY


@pytest.mark.parametrize(
    "part", ["errors", "geometry", "io.files", "datasets", "streaming.label_tracks", "training.history"]
)
def test_parts_that_compute_nothing_load_no_numba(part):
    assert not loaded_by(f"import audioconv.{part}") & {"numba", "librosa", "sklearn"}


def test_importing_the_package_is_quick():
    def seconds(program):
        times = []
        for _ in range(3):
            begun = time.perf_counter()
            subprocess.run([sys.executable, "-c", program], check=True)
            times.append(time.perf_counter() - begun)
        return min(times)

    # Less than NumPy alone, which takes a small part of the half second that is allowed.
    assert seconds("import audioconv") < seconds("import numpy")


def test_every_public_name_is_where_the_package_says():
    for name in audioconv.__all__:
        assert getattr(audioconv, name) is not None
    assert dir(audioconv) == audioconv.__all__
    with pytest.raises(AttributeError, match="module 'audioconv' has no attribute 'nothing'"):
        _ = audioconv.nothing
