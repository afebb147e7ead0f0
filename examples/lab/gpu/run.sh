#!/bin/sh
# All of the kit in one command; README.md says what it does. Results are written to $OUT, or gpu-results/ here.
#
#     examples/lab/gpu/run.sh PACK.tar [--minutes 9]
#     examples/lab/gpu/run.sh --rehearse
set -eu
kit=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$kit/../../.." && pwd)
PYTHONPATH="$root:$root/cli${PYTHONPATH:+:$PYTHONPATH}"
export PYTHONPATH
if [ -d "$root/wheels" ]; then
    "${PYTHON:-python3}" -m pip install -q --no-index --no-deps --target "$root/.site" "$root"/wheels/*.whl
    PYTHONPATH="$PYTHONPATH:$root/.site"
fi
exec "${PYTHON:-python3}" "$kit/kit.py" --out "${OUT:-gpu-results}" "$@"
