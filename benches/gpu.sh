#!/usr/bin/env bash
# gpu.sh: the tests and the benches on this machine's NVIDIA GPU, from a checkout, whether fastnn is installed or not.
#   benches/gpu.sh                 both; the benches write docs/performance-gpu.md and docs/performance-gpu.json
#   benches/gpu.sh tests           the tests only
#   benches/gpu.sh benches         the benches only
#   benches/gpu.sh [...] FOLDER    logs, performance-gpu.md and performance-gpu.json go into that folder
# PYTHON says which Python (python3), BENCH_OPTIONS what bench_gpu.py is given besides, such as "--seconds 0.1".
# All steps run, whatever the others did; it ends with 1 where one of them failed.
set -uo pipefail
what=both
case "${1:-}" in tests | benches) what=$1; shift ;; esac
[ $# -le 1 ] || { echo "usage: benches/gpu.sh [tests|benches] [FOLDER]" >&2; exit 2; }
logs=
if [ $# -eq 1 ]; then
  mkdir -p "$1" || exit 2
  logs=$(cd "$1" && pwd)
fi
cd "$(dirname "$0")/.." || exit 2
root=$PWD python=${PYTHON:-python3} pages=${logs:-$PWD/docs}
export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1
failed=()

step() { # step NAME COMMAND...: runs it, with its output in a log too where there is a folder
  local name=$1 start=$SECONDS log=/dev/null
  shift
  [ -z "$logs" ] || log=$logs/$name.log
  printf '\n== %s: %s\n' "$name" "$*"
  if "$@" 2>&1 | tee "$log"; then
    echo "== $name: done in $((SECONDS - start)) s"
  else
    echo "== $name: FAILED after $((SECONDS - start)) s"
    failed+=("$name")
  fi
}

machine() { # the GPU, the versions, and what fastnn says of its backends
  nvidia-smi -L && nvidia-smi --query-gpu=driver_version,memory.total,clocks.max.sm --format=csv || return 1
  "$python" - <<'PYTHON'
import sys
from importlib.metadata import PackageNotFoundError, version

print("Python", sys.version.split()[0])
for name in ("numpy", "cupy-cuda13x", "nvmath-python", "torch", "triton", "jax", "pytest", "pytest-xdist", "pytest-benchmark"):
    try:
        print(name, version(name))
    except PackageNotFoundError:
        print(name, "is not installed")
PYTHON
  FASTNN_BACKEND=cupy "$python" -c "import fastnn; print(fastnn.info())"
}

has() { "$python" -c "import $1" 2>/dev/null; }

tests() {
  local options=(-q -p no:cacheprovider -rs)
  has xdist && options+=(-n 4)
  has pytest_benchmark || options+=(-o "addopts=--strict-markers --strict-config --import-mode=importlib")
  step tests env FASTNN_BACKEND=cupy "$python" -m pytest "${options[@]}" tests --ignore tests/backends/test_kernels.py
  step kernels env FASTNN_BACKEND=cupy "$python" -m pytest "${options[@]}" --targets cupy-device tests/backends/test_kernels.py
}

step machine machine
[ "$what" = benches ] || tests
# shellcheck disable=SC2086 (options are words)
[ "$what" = tests ] || step benches "$python" benches/bench_gpu.py ${BENCH_OPTIONS:-} \
  --markdown "$pages/performance-gpu.md" --json "$pages/performance-gpu.json"

if [ ${#failed[@]} -gt 0 ]; then
  printf '\nFAILED: %s\n' "${failed[*]}"
  exit 1
fi
printf '\nall passed\n'
