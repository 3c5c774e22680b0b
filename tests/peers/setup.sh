#!/usr/bin/env bash
# Makes the Python environment of the peer tests and prints its directory; does nothing when it is there already.
#
#   WMAP_VENV    where (default: ~/.cache/wmap/venv, outside the tree)
#   WMAP_TORCH   which torch, as arguments for pip (default: torch==2.13.0).  Where PyPI's build with CUDA is not
#                wanted: WMAP_TORCH="torch==2.13.0 --index-url URL-OF-THE-CPU-BUILDS"
#
# torch comes first and with what it needs; the rest is a closed list, installed without dependencies, so that
# nothing replaces it.  A second environment beside it, VENV-neuron, has what needs an older transformers
# (requirements-neuron.txt); it takes torch and all the rest from the first; VENV-peft is a directory of packages
# that are put behind those of the first for one test.  Each is built anew when its list, WMAP_TORCH or the Python version changes.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
venv=${WMAP_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/wmap/venv}
torch=${WMAP_TORCH:-torch==2.13.0}
python=${PYTHON:-python3}

key=$({ "$python" --version; echo "$torch"; cat "$here/requirements.txt"; } | sha256sum | cut -d' ' -f1)
stamp=$venv/.wmap-requirements

mkdir -p "$(dirname "$venv")"
exec 9>"$venv.lock"
flock 9

if [[ $(cat "$stamp" 2>/dev/null) != "$key" ]]; then
    echo "making the environment of the peer tests in $venv (a few minutes, once)" >&2
    "$python" -m venv --clear "$venv"
    pip=("$venv/bin/python" -m pip install --quiet --disable-pip-version-check)
    # shellcheck disable=SC2086  # WMAP_TORCH may hold several arguments
    "${pip[@]}" $torch >&2
    "${pip[@]}" --no-deps --requirement "$here/requirements.txt" >&2
    echo "$key" >"$stamp"
fi

second=$venv-neuron
key=$({ echo "$key"; cat "$here/requirements-neuron.txt"; } | sha256sum | cut -d' ' -f1)
if [[ $(cat "$second/.wmap-requirements" 2>/dev/null) != "$key" ]]; then
    "$python" -m venv --clear "$second"
    "$second/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
        --requirement "$here/requirements-neuron.txt" >&2
    site='import sysconfig; print(sysconfig.get_path("purelib"))'
    # behind its own packages, which therefore win
    "$venv/bin/python" -c "$site" >"$("$second/bin/python" -c "$site")/first-environment.pth"
    echo "$key" >"$second/.wmap-requirements"
fi

third=$venv-peft
key=$({ echo "$key"; cat "$here/requirements-peft.txt"; } | sha256sum | cut -d' ' -f1)
if [[ $(cat "$third/.wmap-requirements" 2>/dev/null) != "$key" ]]; then
    rm -rf "$third"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --target "$third" \
        --requirement "$here/requirements-peft.txt" >&2
    echo "$key" >"$third/.wmap-requirements"
fi
echo "$venv"
