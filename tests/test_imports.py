"""Imports point one way only, and importing the package costs next to nothing."""

from __future__ import annotations

import functools
import subprocess
import sys
import time
from pathlib import Path

import pytest
from drawing.packages import imported, imports_by_part, levels

import audioconv

ROOT = Path(__file__).parents[1]

# A part (a module or a package) may import what stands above it here. Parts of one line do not import each other.
ORDER = [
    line.split()
    for line in """
    _types _version errors
    decision geometry io kernels pages
    cluster evaluation features images runtime
    audio ops
    datasets layers
    architectures compiler tts
    interop model training
    pipeline streaming
    recipe
    classifier explaining export report serving
    lab
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
    "cluster": BASE | {"io"},
    "audio": BASE | {"cluster", "features", "io", "kernels"},
    "images": BASE | {"io", "kernels"},
    "datasets": BASE | {"audio", "cluster", "decision", "features", "images", "io", "kernels"},
    "training": BASE | {"cluster", "compiler", "geometry", "io", "kernels", "layers", "ops", "runtime"},
}


@functools.cache
def imports():
    """Return what each part imports; reading all sources takes seconds."""
    return imports_by_part()


def reach(part, seen=()):
    """Return all parts that importing `part` may load; an import that leads back to itself is an error."""
    assert part not in seen, f"imports run in a circle: {' -> '.join((*seen, part))}"
    return set().union(*({target} | reach(target, (*seen, part)) for target in imports().get(part, ())))


def test_every_part_has_its_place_in_the_order():
    assert set(imports()) <= set(LEVEL), f"place {sorted(set(imports()) - set(LEVEL))} in ORDER"


@pytest.mark.parametrize("part", sorted(LEVEL))
def test_imports_point_one_way(part):
    against = {target for target in imports()[part] & set(LEVEL) if LEVEL[target] >= LEVEL[part]}
    assert not against, f"{part} imports {sorted(against)}, which do not stand above it"
    reach(part)


@pytest.mark.parametrize("part", sorted(REACH))
def test_the_cores_stay_apart(part):
    assert reach(part) <= REACH[part]


def test_the_reader_of_imports_sees_them_all():
    source = "import audioconv.ops as o, numba\nfrom audioconv import layers, __version__\n"
    source += "def f():\n    from audioconv.audio.read import read\n"
    assert sorted(imported(source)) == ["_version", "audio", "layers", "ops"]


def test_packages_of_data_sets_do_not_import_in_a_circle():
    """Its packages (archives, build, check, download) and modules, as parts of their own."""
    package = Path(audioconv.__file__).parent / "datasets"
    found = {}
    for path in package.rglob("*.py"):
        part = path.relative_to(package).with_suffix("").parts[0]
        for line in path.read_text("utf-8").splitlines():
            words = line.split()
            if words[:1] == ["from"] and words[1].startswith("audioconv.datasets") and part != "__init__":
                below = words[1].removeprefix("audioconv.datasets").removeprefix(".").split(".")[0]
                found.setdefault(part, set()).update({below} if below else set(words[3:]))
    found = {part: used - {part} for part, used in found.items()}
    assert levels(found)["build"] > levels(found)["download"] > levels(found)["archives"]


def test_the_picture_of_the_packages_is_up_to_date():
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "draw_packages", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


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
