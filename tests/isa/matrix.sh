#!/bin/sh
# Builds tests/isa/isa.c with every compiler and level here and compares the digests that the programs print with
# tests/isa/digest.txt. Usage, from the repository's root: tests/isa/matrix.sh [OUTPUT_DIRECTORY]
# JOBS: how many at a time.
set -u

one() { # directory, compiler, level, contraction: a line that begins with ok or not ok
  name="$2 -$3${4:+ -ffp-contract=$4}"
  program=$1/isa-$(echo "$2-$3-$4" | tr -cd 'a-z0-9A-Z-')
  # shellcheck disable=SC2086
  if ! said=$("$2" -std=gnu11 -$3 ${4:+-ffp-contract=$4} -I. tests/isa/isa.c -o "$program" -lcmocka -lpthread 2>&1)
  then printf 'not ok %s: does not compile\n%s\n' "$name" "$said"
  elif got=$("$program" --print) && [ "$got" = "$(cat tests/isa/digest.txt)" ]; then echo "ok $name"
  else echo "not ok $name:" $got; fi
}

if [ "${1:-}" = --one ]; then
  shift
  one "$@"
  exit 0
fi

# gcc contracts by itself in gnu11; clang within an expression. What is never contracted is what the other tests run.
combinations() {
  for level in O1 O2 "O3 -march=native"; do
    echo "gcc/$level/"
    echo "clang/$level/"
    echo "clang/$level/fast"
  done
  echo "gcc/O2/off"
  echo "clang/O2/off"
}

out=${1:-build/isa-matrix}
mkdir -p "$out"
for cc in gcc clang; do command -v $cc >/dev/null || echo "skip: no $cc here"; done
combinations | while IFS=/ read -r cc level contract; do
  command -v "$cc" >/dev/null && printf '%s\0%s\0%s\0' "$cc" "$level" "$contract"
done | xargs -0 -n 3 -P "${JOBS:-2}" sh "$0" --one "$out" | tee "$out/all.txt"
passed=$(grep -c '^ok ' "$out/all.txt") failed=$(grep -c '^not ok ' "$out/all.txt")
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
