# make small: what a model without files takes, and a Cortex-M4 that runs one. From the root.
# Prints a table of code sizes (-Os, inference only, no library but memcpy, memset and the compiler's own), and the
# digests of tests/small/device.c from this machine and from a Cortex-M4 in QEMU, which must be the same.
# What needs a tool that is missing is skipped, with the reason. Prints "N passed, N failed" last.
set -u
: "${BUILD:=build}" "${CC:=cc}" "${LSTM:=./lstm}"
dir=$BUILD/small
passed=0 failed=0
rm -rf "$dir"
mkdir -p "$dir"
ok() { passed=$((passed + 1)); echo "ok $1"; }
not_ok() { failed=$((failed + 1)); printf 'not ok %s\n%s\n' "$1" "${2:-}"; }
have() { command -v "$1" >/dev/null 2>&1; }

warn="-std=c99 -Wall -Wextra -pedantic -Wconversion -Wsign-conversion -Wshadow -Wcast-qual -Wundef -Wdouble-promotion"
m4="arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16"
bare="-Os -ffreestanding -fno-stack-protector -fno-asynchronous-unwind-tables -ffunction-sections -fdata-sections
  -nostdlib -Wl,--gc-sections"
small="-DLSTM_SMALL -DLSTM_NO_FILES -DLSTM_NO_TRAINING"

"$LSTM" tests/small/models.lua "$dir" || exit 1
for model in fused portable rich tokens; do
  "$LSTM" export --c "$dir/$model.safetensors" -o "$dir/$model.h" >"$dir/export.txt" || exit 1
done

# --- code sizes -----------------------------------------------------------------------------------------------------

# Bytes of a program: code with its own constants, the model's constants, and what it takes of RAM.
sizes() { # size, nm, program
  $2 -S "$3" | awk -v name="$4" '
    function hex(s,  n, i) { n = 0; for (i = 1; i <= length(s); i++)
      n = n * 16 + index("0123456789abcdef", substr(s, i, 1)) - 1; return n }
    $4 ~ "^" name "(_|$)" && $3 ~ /[rRdDtT]/ { sum += hex($2) }
    END { print sum + 0 }' >"$dir/constants.txt"
  $1 "$3" | awk -v constants="$(cat "$dir/constants.txt")" 'NR == 2 { print $1 + $2 - constants, constants, $3 }'
}

printf '\n%-44s %8s %8s %8s\n' "an LSTM of 8, a dense layer of 2; bytes, -Os" code model RAM
row() { # limit of the code, name, prefix of the tools, model, command
  limit=$1 name=$2 tools=$3 model=$4 command=$5
  out=$($command $warn $bare $small -DSIZE_MODEL="\"$model.h\"" -DSIZE_CONSTANTS="$model" \
    -DSIZE_NAME="$(echo "$model" | tr a-z A-Z)" -I. -I"$dir" tests/small/size.c ${6:-} -lgcc -o "$dir/size.elf" 2>&1) ||
    { not_ok "$name" "$out"; return; }
  set -- $(sizes "${tools}size" "${tools}nm" "$dir/size.elf" "$model")
  printf '%-44s %8d %8d %8d\n' "$name" "$1" "$2" "$3"
  if [ -n "$out" ]; then not_ok "$name: warnings" "$out"
  elif [ "$1" -gt "$limit" ]; then not_ok "$name: $1 bytes of code, wanted at most $limit"
  else passed=$((passed + 1)); fi
}
machine=$(uname -m)
if [ "$machine" = x86_64 ] && have gcc; then
  host="gcc -static -nostartfiles -Wl,-e,main -Wno-main"
  row 16896 "x86-64, SSE2" "" fused "$host -DLSTM_NO_PORTABLE -DLSTM_ONLY_ISA=SSE2"
  row 18432 "x86-64, scalar, fused in software" "" fused "$host -DLSTM_NO_PORTABLE -DLSTM_ONLY_ISA=SCALAR"
  row 20480 "x86-64, AVX2" "" fused "$host -DLSTM_NO_PORTABLE -DLSTM_ONLY_ISA=AVX2"
else echo "skip x86-64: this is $machine, or there is no gcc"; fi
if have arm-none-eabi-gcc; then
  boot="-T tests/small/mps2.ld -I. tests/small/boot.c"
  row 12800 "Cortex-M4" arm-none-eabi- fused "$m4 -DLSTM_NO_PORTABLE -DLSTM_ONLY_ISA=SCALAR" "$boot"
  row 16896 "Cortex-M4, portable numerics too" arm-none-eabi- portable "$m4 -DLSTM_ONLY_ISA=SCALAR" "$boot"
else echo "skip Cortex-M4: arm-none-eabi-gcc is not installed (apt install gcc-arm-none-eabi)"; fi
echo

# --- the same program here and there --------------------------------------------------------------------------------

digests() { sed 's/ model .*//; /^stack/d' "$1"; }
build() { # program, command
  out=$($2 $warn -I. -I"$dir" tests/small/device.c ${3:-} -o "$1" 2>&1) || { not_ok "building $1" "$out"; return 1; }
  [ -z "$out" ] || { not_ok "building $1: warnings" "$out"; return 1; }
}
same() { # name, file
  if [ "$(digests "$2")" = "$(digests "$dir/here.txt")" ]; then ok "$1: the digests are those of this machine"
  else not_ok "$1" "$(diff "$dir/here.txt" "$2")"; fi
}

build "$dir/here" "$CC -O1 -DLSTM_NO_FILES -DLSTM_NO_TRAINING -DLSTM_NO_AVX512" || exit 1
"$dir/here" >"$dir/here.txt" || not_ok "on this machine" "$(cat "$dir/here.txt")"
build "$dir/small" "$CC -Os $small -DLSTM_NO_SIMD" && "$dir/small" >"$dir/small.txt" && same LSTM_SMALL "$dir/small.txt"
if ! have arm-none-eabi-gcc; then echo "skip Cortex-M4: arm-none-eabi-gcc is not installed"
elif ! have qemu-system-arm; then echo "skip Cortex-M4: qemu-system-arm is not installed (apt install qemu-system-arm)"
elif build "$dir/m4.elf" "$m4 $bare $small -DLSTM_ONLY_ISA=SCALAR" \
    "-T tests/small/mps2.ld tests/small/boot.c -lgcc"; then
  timeout 60 qemu-system-arm -M mps2-an386 -nographic -monitor none -serial none \
    -semihosting-config enable=on,target=native -kernel "$dir/m4.elf" >"$dir/m4.txt" 2>&1 </dev/null ||
    not_ok "Cortex-M4 in QEMU" "$(cat "$dir/m4.txt")"
  cat "$dir/m4.txt"
  same "Cortex-M4 in QEMU" "$dir/m4.txt"
fi

# --- the example ----------------------------------------------------------------------------------------------------

if [ -f examples/sensor.c ]; then
  if out=$($CC -Os -I. examples/sensor.c -o "$dir/sensor" 2>&1 && "$dir/sensor"); then
    if nm "$dir/sensor" | grep -E ' (malloc|calloc|realloc|free)(@|$)'; then not_ok "sensor is linked with malloc"
    else ok "sensor: $(echo "$out" | tail -n 1); no malloc is linked"; fi
  else not_ok sensor "$out"; fi
fi

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
