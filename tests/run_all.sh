#!/usr/bin/env bash
# Both lanes of the tests, then the coverage floor over both. First argument: the folder of the environment's programs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bin="${1:-.venv/bin}"
export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1
"$bin/coverage" erase
# The typed lane: shapes checked by beartype. Two processes, for two cores.
"$bin/coverage" run -m pytest -q -n 2 --dist loadfile -m "not untyped" "${@:2}"
# The untyped lane: what users run, without the shape checks.
JAXTYPING_DISABLE=1 "$bin/coverage" run -m pytest -q -m untyped tests
"$bin/coverage" combine -q
"$bin/coverage" report
