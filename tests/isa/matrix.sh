#!/bin/sh
# Builds tests/isa/isa.c with every compiler and level here and compares the digests that the programs print with
# tests/isa/digest.txt. Usage, from the repository's root: tests/isa/matrix.sh [OUTPUT_DIRECTORY]
set -u
out=${1:-build/isa-matrix}
mkdir -p "$out"
wanted=$(cat tests/isa/digest.txt)
failed=0
count=0
for cc in gcc clang; do
  command -v "$cc" > /dev/null || { echo "skip: no $cc here"; continue; }
  for level in "-O1" "-O2" "-O3 -march=native"; do
    for contract in "" "-ffp-contract=off" "-ffp-contract=fast"; do
      program="$out/isa"
      count=$((count + 1))
      # shellcheck disable=SC2086
      if ! "$cc" -std=gnu11 $level $contract -I. tests/isa/isa.c -o "$program" -lcmocka -lpthread; then
        echo "FAIL  $cc $level $contract: does not compile"; failed=$((failed + 1)); continue
      fi
      got=$("$program" --print)
      if [ "$got" = "$wanted" ]; then echo "ok    $cc $level $contract"
      else echo "FAIL  $cc $level $contract:" $got; failed=$((failed + 1)); fi
    done
  done
done
echo "$count builds, $failed with other digests"
[ "$failed" -eq 0 ]
