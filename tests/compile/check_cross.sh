# make cross: compiles lstm.h for other targets with clang, and runs examples/train.c on emulated aarch64: the same text
# and the same bits as here. Prints "N passed, N failed" last. The headers in
# tests/compile/libc stand in for those of the targets.
set -u
dir=$BUILD/cross
rm -rf "$dir"
mkdir -p "$dir"
passed=0 failed=0
check() { # name, command
  if said=$(eval "$2" 2>&1); then echo "ok $1"; passed=$((passed + 1))
  else printf 'not ok %s\n%s\n' "$1" "$said"; failed=$((failed + 1)); fi
}
cross() { # name, flags
  check "clang $1" "clang --target=$2 -std=c99 -O2 $WARN -Werror -ffreestanding -isystem tests/compile/libc -I. \
    -DLSTM_IMPLEMENTATION -x c -c -o $dir/$1.o lstm.h"
}
if command -v clang >/dev/null 2>&1; then
  cross aarch64 aarch64-linux-gnu
  cross aarch64-apple arm64-apple-macos11
  cross wasm32 wasm32
  cross wasm32-simd "wasm32 -msimd128"
  cross i686 i686-linux-gnu
  cross i686-nosse "i686-linux-gnu -mno-sse"
  cross armv7 armv7-linux-gnueabihf
  cross riscv64 riscv64-linux-gnu
  cross windows x86_64-pc-windows-msvc
  cross windows-arm aarch64-pc-windows-msvc
  cross windows-gnu x86_64-w64-mingw32
  cross big-endian s390x-linux-gnu
else echo "skip targets: clang is not installed"; fi

qemu=$(command -v qemu-aarch64 || command -v qemu-aarch64-static || true)
if [ -n "$qemu" ] && command -v aarch64-linux-gnu-gcc >/dev/null 2>&1; then
  cc -O2 -I. examples/train.c -o "$dir/train-here" && "$dir/train-here" "$dir/here.safetensors" >"$dir/here.txt"
  check "build for aarch64" "aarch64-linux-gnu-gcc -static -O2 -I. examples/train.c -o $dir/train-aarch64"
  check "aarch64 prints what this machine prints" "$qemu $dir/train-aarch64 $dir/aarch64.safetensors >\
    $dir/aarch64.txt && cmp $dir/here.txt $dir/aarch64.txt"
  check "aarch64 learns the same bits" "cmp $dir/here.safetensors $dir/aarch64.safetensors"
else echo "skip aarch64: qemu-aarch64 and aarch64-linux-gnu-gcc are not both installed"; fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
