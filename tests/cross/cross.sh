# make cross: the header and its tests on other machines, emulated where need be; the bits must be those of x86.
# usage: sh tests/cross/cross.sh [TARGET...]     (make cross TARGETS="aarch64 wasm")
# Where a target's tools are missing it is skipped, with the reason. Prints "N passed, N failed" last. The tests are
# linked with tests/cross/stand-in/cmocka.h: no cmocka for the target is needed.
set -u
: "${BUILD:=build}" "${CC:=cc}" "${JOBS:=2}" "${WARN:=-Wall -Wextra}"
dir=$BUILD/cross

have() { command -v "$1" >/dev/null 2>&1; }
needs() { # a command, or several names of one
  for command in $1; do have "$command" && found=$command && return; done
  echo "skip $target: $1 is not installed"
  exit 0
}
check() { # name, command
  if said=$(eval "$2" 2>&1); then echo "ok $target: $1"
  else printf 'not ok %s: %s\n%s\n' "$target" "$1" "$said"; return 1; fi
}

# --- programs for a target: $cc compiles, $run runs, $exe ends a program's name --------------------------------------
# GNU C99, because gcc for s390x computes float expressions in double where it is asked for ISO C.

build() { # source, flags, further object -> $program
  program=$dir/$target-$(echo "${1%.c}" | tr / -)$exe
  check "builds $1" "$cc -std=gnu99 ${2:--O2} -Itests/cross/stand-in -I. -Itests -o $program $1 ${3:-} -lm"
}
library() { # lstm.h once, for the tests that look at nothing but what it declares -> $object
  object=$dir/$target-lstm.o
  [ -f "$object" ] || check "builds lstm.h" "$cc -std=gnu99 -O1 -I. -c -o $object host/lstm_impl.c"
}
tests() { # sources: each a program that passes or fails; compiled in half the time
  for source; do
    object= level=-O1
    grep -q '^.define LSTM_IMPLEMENTATION' "$source" || library || continue
    case $source in tests/unit/*) level="-O1 -DLSTM_NO_PORTABLE -DLSTM_NO_AVX512" ;; esac
    build "$source" "$level" "$object" && check "$source" "$run $program"
  done
}
digests() { # what x86 computed, bit for bit
  build tests/isa/isa.c || return
  check "tests/isa/isa.c: the digests of x86" "$run $program --print | tr -d '\r' | diff tests/isa/digest.txt -"
}
here() { # name, flags: the example that trains, on this machine
  $CC -O2 $2 -I. -o "$dir/$1" examples/train.c && "$dir/$1" "$dir/$1.safetensors" >"$dir/$1.txt"
}
train() { # the example's words and its file are those of this machine
  build examples/train.c || return
  check "examples/train.c prints the same" "$run $program $dir/$target.safetensors | tr -d '\r' | diff $dir/$1.txt -"
  check "examples/train.c saves the same bytes" "cmp $dir/$1.safetensors $dir/$target.safetensors"
}
replay() { # a recorded game of 10,000 characters leads to the same place
  build examples/npcs.c || return
  check "examples/npcs.c replays" "$run $program --replay tests/examples/npcs.keys | tr -d '\r' |
    diff tests/examples/npcs.digest -"
}
exe='' run=''

linux() { # name in gcc's triplet, name in qemu
  needs "$1-gcc" && cc="$1-gcc -static -pthread"
  [ -z "${2:-}" ] || { needs "qemu-$2 qemu-$2-static" && run=$found; }
}

# --- targets --------------------------------------------------------------------------------------------------------

aarch64() {
  linux aarch64-linux-gnu aarch64
  digests
  tests tests/kernels/kernels.c tests/unit/states.c
  train here
  replay
}
riscv64() {
  linux riscv64-linux-gnu riscv64
  digests
}
s390x() { # big-endian; the kernels without the fused multiply-add of this CPU
  linux s390x-linux-gnu s390x
  digests
  tests tests/io/*.c tests/unit/arithmetic.c
  cc="$cc -U__FP_FAST_FMAF"
  tests tests/kernels/kernels.c
}
i386() { # runs without an emulator
  [ "$(uname -m)" = x86_64 ] || { echo "skip i386: this is no x86-64 machine"; return; }
  linux i686-linux-gnu
  cc="$cc -msse2 -mfpmath=sse"
  digests
  # unit/silent.c puts functions of its own in the place of malloc's, which a static program has already
  tests tests/kernels/kernels.c tests/io/*.c $(ls tests/unit/*.c | grep -v silent)
  train here
}
wasm() {
  needs clang
  needs "wasm-ld wasm-ld-14 wasm-ld-15 wasm-ld-16 wasm-ld-19"
  needs node
  cc="clang --target=wasm32-wasi --sysroot=${WASI_SYSROOT:-/usr} -msimd128 -Itests/cross/wasi" exe=.wasm
  run="node --no-warnings tests/cross/wasi/run.mjs"
  echo 'int main(void){return 0;}' | $cc -x c -o "$dir/wasm-probe" - 2>/dev/null ||
    { echo "skip wasm: wasi-libc or clang's run-time library for wasm32 is not installed"; return; }
  digests
  tests tests/kernels/kernels.c tests/io/streams.c
  [ "$(uname -m)" = x86_64 ] || return 0
  here sse2 -DLSTM_ONLY_ISA=SSE2 # which cannot fuse either
  train sse2
}
windows() {
  needs x86_64-w64-mingw32-gcc && cc="$found -static -pthread" exe=.exe
  needs "wine64 wine /usr/lib/wine/wine64" && run=$found
  export WINEDEBUG=-all WINEPREFIX="$(cd "$dir" && pwd)/wine"
  check "$run starts" "$run cmd /c exit" || return
  digests
  tests tests/kernels/kernels.c tests/io/*.c # tests/io/streams.c: names of files that are not ASCII
  train here
}
msvc() { # clang in the place of Microsoft's compiler, its highest level of warnings
  needs clang
  for language in TC TP; do
    check "clang /W4 /WX /$language" "clang --driver-mode=cl --target=x86_64-pc-windows-msvc /W4 /WX /O2 /$language /c \
      /clang:-ffreestanding /imsvc tests/compile/libc /I. /DLSTM_IMPLEMENTATION /Fo$dir/msvc-$language.obj lstm.h"
  done
}
# Compiled only; the headers in tests/compile/libc stand in for those of the targets.
compiles() { # name, clang's flags
  check "$1" "clang --target=$2 -std=c99 -O2 $WARN -Werror -ffreestanding -isystem tests/compile/libc -I. \
    -DLSTM_IMPLEMENTATION -x c -c -o $dir/compile-$1.o lstm.h"
}
compile() {
  needs clang
  compiles aarch64 aarch64-linux-gnu
  compiles aarch64-apple arm64-apple-macos11
  compiles wasm32 wasm32
  compiles wasm32-simd "wasm32 -msimd128"
  compiles i686 i686-linux-gnu
  compiles i686-nosse "i686-linux-gnu -mno-sse"
  compiles armv7 armv7-linux-gnueabihf
  compiles riscv64 riscv64-linux-gnu
  compiles windows x86_64-pc-windows-msvc
  compiles windows-arm aarch64-pc-windows-msvc
  compiles windows-gnu x86_64-w64-mingw32
  compiles big-endian s390x-linux-gnu
}

# --- all of them ----------------------------------------------------------------------------------------------------

if [ "${1:-}" = --target ]; then
  target=$2
  { "$target"; echo "ended $target"; } >"$dir/$target.txt"
  exit 0
fi
rm -rf "$dir"
mkdir -p "$dir"
here here '' || exit 1
known="s390x aarch64 riscv64 i386 windows wasm compile msvc" # the slow ones first
[ $# -gt 0 ] || set -- $known
for target; do case " $known " in *" $target "*) ;; *) echo "no target $target; there are: $known"; exit 2 ;; esac; done
export BUILD CC WARN
printf '%s\n' "$@" | xargs -P "$JOBS" -I '{}' sh "$0" --target '{}'
for target; do
  grep -v "^ended $target" "$dir/$target.txt"
  grep -qE "^(ended|skip) $target" "$dir/$target.txt" || echo "not ok $target did not come to its end"
done | tee "$dir/all.txt"
passed=$(grep -c '^ok ' "$dir/all.txt") failed=$(grep -c '^not ok ' "$dir/all.txt")
skipped=$(sed -n 's/^skip \([^:]*\):.*/\1/p' "$dir/all.txt")
[ -z "$skipped" ] || echo "skipped:" $skipped
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
