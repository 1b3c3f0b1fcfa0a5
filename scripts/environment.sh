# shellcheck shell=bash
# Sourced by the scripts beside it: the virtual environment .venv in the repository root, with audioconv in it.
#
#   prepare EXTRAS    after it, $bin holds python and audioconv, installed from this folder with the extras EXTRAS

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/.venv
case ${OSTYPE:-} in
msys* | cygwin*) bin=$venv/Scripts ;; # bash on Windows
*) bin=$venv/bin ;;
esac

fail() {
    printf '%s: %s\n' "${0##*/}" "$1" >&2
    exit 1
}

# The newest Python that can make virtual environments; Debian and Ubuntu ship Python without that part.
find_python() {
    local name found=
    for name in python3.14 python3.13 python3.12 python3.11 python3 python; do
        "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null || continue
        found=${found:-$name}
        if "$name" -c 'import ensurepip, venv' 2>/dev/null; then
            printf '%s\n' "$name"
            return
        fi
    done
    if [ -n "$found" ]; then
        fail "$found has no module venv; on Debian and Ubuntu: sudo apt-get install $("$found" -c \
            'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
    fi
    fail 'needs Python 3.11, 3.12, 3.13 or 3.14 on the PATH; see https://www.python.org/downloads/'
}

# .venv, made where it is missing or no longer runs, as after its Python was removed.
make_venv() {
    local python
    if "$bin/python" -c 'import pip' 2>/dev/null || "$bin/python" -m ensurepip >/dev/null 2>&1; then
        return
    fi
    python=$(find_python) || exit 1
    printf 'making the virtual environment %s with %s\n' "$venv" "$("$python" --version)" >&2
    "$python" -m venv --clear "$venv" || fail "$python could not make a virtual environment in $venv"
}

prepare() {
    local extras=$1 stamp wanted
    make_venv
    # The installation is editable: only other dependencies, or another place of this folder, ask for a new one.
    stamp=$venv/installed-$extras
    wanted="$(cksum <"$root/pyproject.toml") $root"
    if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
        return
    fi
    printf 'installing audioconv[%s] and what it needs\n' "$extras" >&2
    (cd -- "$root" && "$bin/python" -m pip install --quiet --disable-pip-version-check --editable ".[$extras]") ||
        fail "pip could not install audioconv[$extras]; what it says above tells why (is there a network?)"
    printf '%s\n' "$wanted" >"$stamp"
}
