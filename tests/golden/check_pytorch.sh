#!/bin/sh
# check_pytorch.sh - what needs PyTorch: the golden numbers made again and compared, and model files passed to PyTorch
# and back. Run from the repository's root (make golden). Prints ok, not ok and skip lines; fails if one is not ok.
build=${BUILD:-build}
failed=0

if ! python3 -c 'import torch, safetensors' 2>/dev/null; then
  echo "skip golden: python3 has no torch and safetensors (pip install torch safetensors)"
  exit 0
fi

report=$(python3 tests/golden/generate.py --check 2>&1) || failed=1
echo "$report" | sed -n 's/^\(.*\): the same$/ok golden: \1/p
                         s/^\(.*\): DIFFERENT$/not ok golden: \1 is not what PyTorch says/p'
[ $failed = 0 ] || echo "$report"

mkdir -p "$build"
# shellcheck disable=SC2086 # flags are words
if ${CC:-cc} ${CFLAGS:--std=c99 -O2} -I. -o "$build/exchange" tests/golden/exchange/exchange.c; then
  python3 tests/golden/exchange/exchange.py "$build/exchange" || failed=1
else
  echo "not ok exchange: tests/golden/exchange/exchange.c does not compile"
  failed=1
fi
exit $failed
