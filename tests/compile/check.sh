# make check: what the sources promise about compilers, symbols, macros and style. From the root. (make test runs
# the other test_*.sh of this folder.)
# A tool that is missing skips its part with a reason. Prints "N passed, N failed" last.
# In: LSTM (the host), BUILD, WARN (warning flags), LUA_CFLAGS, JOBS.
set -u
dir=$BUILD/compile
tasks=$dir/tasks
log=$dir/check.txt
rm -rf "$dir"
mkdir -p "$tasks"
: >"$log"
number=1000

task() { # name, command: kept in a file of its own, run at the end
  number=$((number + 1))
  printf '%s\n%s\n' "$1" "$2" >"$tasks/$number"
}
skip() { echo "skip $1: $2" >>"$log"; }
have() { command -v "$1" >/dev/null 2>&1; }
flags="$WARN -Werror -I."
smoke=tests/compile/smoke.c

# --- every compiler, every standard: no warning, with the implementation and without --------------------------------
# Code generation takes 30 times as long as the rest: it is asked for where it can say something new, once for each
# compiler (with the symbols, below) and level.

seen=' '
compilers() { # standards, language, compilers...
  standards=$1 language=$2
  shift 2
  for c in "$@"; do
    have "$c" || { skip "$c" "not installed"; continue; }
    is=$(readlink -f "$(command -v "$c")")
    case $seen in *" $is "*) continue ;; esac # c++ is g++ or clang++
    seen="$seen$is "
    for s in $standards; do
      task "$c -std=$s" "$c -x $language -std=$s $flags -fsyntax-only $smoke"
      task "$c -std=$s, declarations" "echo '#include \"lstm.h\"' | $c -x $language -std=$s $flags -fsyntax-only -"
    done
    [ "$language" = c ] ||
      task "$c -O1, runs" "$c -x c++ -std=c++11 -O1 -DLSTM_NO_PORTABLE $flags -o $dir/run-$c $smoke && $dir/run-$c"
  done
}
compilers "c99 c11 c17" c gcc clang
compilers "c++11 c++14 c++17 c++20" c++ g++ clang++ c++
for o in -O0 -O3 -Os "-O3 -march=native"; do
  task "gcc $o" "gcc -std=c99 $o -DLSTM_NO_PORTABLE $flags -c -o $dir/gcc$(echo "$o" | tr -d ' =').o $smoke"
done

# --- every configuration macro: no warning, links without -lm, runs -------------------------------------------------

# name, flags. Run with the scalar kernels alone, which compile in a quarter of the time; parsed with all of them, also
# by clang, which tells without optimisation what is not used.
macro() { quick "$1" "$2 -DLSTM_NO_SIMD -DLSTM_NO_PORTABLE"; parse "$1" "$2"; }
quick() { task "$1" "gcc -std=c99 -O1 $flags $2 -o $dir/$1 $smoke && $dir/$1"; }
parse() {
  for c in gcc clang; do
    have $c && task "$1, $c" "$c -std=c99 $flags $2 -fsyntax-only ${3:-$smoke}"
  done
}
custom="-include tests/compile/custom.h"
quick plain ""
macro LSTM_STATIC "-DLSTM_STATIC"
macro LSTM_API "'-DLSTM_API=extern __attribute__((visibility(\"default\")))' -fvisibility=hidden"
macro LSTM_MALLOC "$custom -DLSTM_MALLOC=custom_malloc -DLSTM_FREE=custom_free -Wno-unused-function"
macro LSTM_ASSERT "$custom '-DLSTM_ASSERT(x)=custom_assert((x)?1:0)' -Wno-unused-function"
macro NDEBUG "-DNDEBUG"
cp lstm.h "$dir/renamed.h"
macro LSTM_HEADER "-I$dir '-DLSTM_HEADER=\"renamed.h\"' '-DSMOKE_HEADER=\"renamed.h\"'"
for m in NO_STDIO NO_FILES NO_TRAINING SMALL; do macro LSTM_$m "-DLSTM_$m"; done
for m in NO_SIMD NO_SSE2 NO_AVX2 NO_AVX512; do
  quick LSTM_$m "-DLSTM_$m -DLSTM_NO_PORTABLE"
  parse LSTM_$m "-DLSTM_$m"
done
for m in NO_NEON NO_WASM NO_PORTABLE; do parse LSTM_$m "-DLSTM_$m"; done # of these, the last was compiled above
if have clang; then # where they take something away
  other="clang -std=c99 $flags -ffreestanding -isystem tests/compile/libc -DLSTM_IMPLEMENTATION -x c -fsyntax-only"
  task "LSTM_NO_NEON on aarch64" "$other --target=aarch64-linux-gnu -DLSTM_NO_NEON lstm.h"
  task "LSTM_NO_WASM on wasm32" "$other --target=wasm32 -msimd128 -DLSTM_NO_WASM lstm.h"
fi
macro LSTM_NO_everything "-DLSTM_NO_STDIO -DLSTM_NO_FILES -DLSTM_NO_TRAINING"
macro LSTM_SMALL_without_files "-DLSTM_SMALL -DLSTM_NO_FILES -DLSTM_NO_TRAINING"
for m in $(grep -o '^#ifndef LSTM_MAX_[A-Z_]*' lstm.h | awk '{print $2}'); do # every limit, at a low value
  case $m in
    LSTM_MAX_LAYERS) macro $m -D$m=4 ;;
    LSTM_MAX_TENSORS) macro $m -D$m=32 ;;
    LSTM_MAX_TOKEN_TABLE) macro $m -D$m=0 ;;
    *) macro "$m" "-D$m=65536" ;;
  esac
done
for isa in SCALAR SSE2 AVX2 AVX512; do # without asking the CPU: not run
  task "LSTM_ONLY_ISA $isa" "gcc -std=c99 -O1 $flags -DLSTM_ONLY_ISA=$isa -c -o $dir/only_$isa.o $smoke"
done
task "-ffast-math is noticed" "! echo '#define LSTM_IMPLEMENTATION
#include \"lstm.h\"' | gcc -x c -std=c99 -ffast-math -Werror -fsyntax-only -I. -"

# --- translation units and symbols ----------------------------------------------------------------------------------

scalar="-DLSTM_NO_SIMD -DLSTM_NO_PORTABLE"
two="$scalar $smoke tests/compile/second.c"
task "two units, C" "gcc -std=c99 $flags -o $dir/two $two && $dir/two"
task "two units, each its own copy" "gcc -std=c99 $flags -DLSTM_STATIC -o $dir/two_static $two"
if have g++; then
  task "implementation in C, use in C++" "gcc -O1 $scalar -I. -DLSTM_IMPLEMENTATION -x c -c -o $dir/c.o lstm.h &&
    g++ -std=c++11 $flags $scalar -DSMOKE_NO_IMPLEMENTATION -x c++ $smoke tests/compile/second.c -x none $dir/c.o \
      -o $dir/mixed && $dir/mixed"
fi
task "gcc -O2: no warning, symbols" "sh tests/compile/symbols.sh gcc $dir '$WARN -Werror'"
have clang && task "clang -O2: no warning, symbols" "sh tests/compile/symbols.sh clang $dir '$WARN -Werror'"
task "macros" "sh tests/compile/macros.sh gcc"

# --- linters --------------------------------------------------------------------------------------------------------

# tests/small is for bare machines: tests/small/run.sh compiles it, with the warnings on.
tests_c=$(echo $(ls tests/*/*.c | grep -v -e '^tests/compile/' -e '^tests/bench/vs_onednn' -e '^tests/small/'))
edit= cmocka=$(pkg-config --cflags cmocka 2>/dev/null)
pkg-config --exists libedit 2>/dev/null && edit="$(pkg-config --cflags libedit) -DLSTM_LIBEDIT"
for c in gcc clang; do # the host as it is built, and without libedit; the tests
  have $c || continue
  warn="$c -std=c99 $flags -Ihost -Itests $LUA_CFLAGS"
  task "the host, $c" "for f in host/*.c; do
    [ \$f = host/lstm_impl.c ] || $warn $edit -O2 -c -o $dir/host-$c.o \$f || exit 1; done
    $warn -fsyntax-only host/repl.c"
  task "tests, $c" "for f in $tests_c; do $warn $cmocka -fsyntax-only \$f || exit 1; done"
done
if echo '#include <oneapi/dnnl/dnnl.h>' | gcc -fsyntax-only -x c - 2>/dev/null; then
  task "vs_onednn.c" "gcc -std=c99 -O2 $flags -fsyntax-only tests/bench/vs_onednn.c"
  tests_c="$tests_c tests/bench/vs_onednn.c"
else skip vs_onednn.c "oneDNN is not installed"; fi
if have python3; then
  task "python" "python3 -c 'import ast, sys
for path in sys.argv[1:]: ast.parse(open(path).read(), path)' tests/*/*.py"
else skip python "no python3"; fi
if have ruff; then task ruff "ruff check --isolated --quiet --select E9,F --line-length 120 tests/*/*.py"
else skip ruff "not installed"; fi
hosts_c=$(echo host/*.c)
if have luacheck; then
  task luacheck "luacheck --quiet --no-color --std lua54 --max-line-length 120 --ignore 212/self 212/_.* \
    -- host/lua scripts tests/lua tests/compile"
else skip luacheck "not installed"; fi
if have cppcheck; then # the header once; for the host and the tests nothing but what it declares
  mkdir -p "$dir/declared"
  { echo '#undef LSTM_IMPLEMENTATION'; cat lstm.h; } >"$dir/declared/lstm.h"
  task cppcheck "cppcheck --quiet --enable=warning,performance,portability --std=c99 --inline-suppr --error-exitcode=1 \
    --max-configs=1 --suppress=missingInclude --suppress=missingIncludeSystem --suppress=*:*lstm.h \
    --suppress=toomanyconfigs --suppress=arrayIndexThenCheck --suppress=invalidFunctionArg \
    --suppress=*:*cmocka.h -I$dir/declared -I. -Ihost -Itests $LUA_CFLAGS $hosts_c $tests_c examples"
  task "cppcheck lstm.h" "cppcheck --quiet --enable=warning,performance,portability --std=c99 --inline-suppr \
    --error-exitcode=1 --max-configs=1 --language=c -DLSTM_IMPLEMENTATION -D__x86_64__ -D__GNUC__=12 \
    --suppress=missingIncludeSystem --suppress=missingInclude --suppress=toomanyconfigs \
    --suppress=arrayIndexThenCheck --suppress=uninitvar lstm.h" # both are mistaken here; gcc and valgrind see more
else skip cppcheck "not installed"; fi
if have clang-tidy; then
  tidy="-*,bugprone-*,clang-analyzer-*,-bugprone-easily-swappable-parameters,-bugprone-narrowing-conversions"
  tidy="$tidy,-bugprone-implicit-widening-of-multiplication-result,-bugprone-macro-parentheses"
  tidy="$tidy,-bugprone-reserved-identifier,-bugprone-assignment-in-if-condition,-bugprone-suspicious-include"
  tidy="$tidy,-clang-analyzer-security.insecureAPI.*,-bugprone-sizeof-expression,-bugprone-misplaced-widening-cast"
  tidy="$tidy,-bugprone-suspicious-memory-comparison,-bugprone-suspicious-string-compare,-bugprone-integer-division"
  for f in $hosts_c examples/*.c $tests_c; do
    [ "$f" = host/lstm_impl.c ] && continue # nothing but the header, about which clang-tidy is not asked
    case $f in tests/*) tidy="$tidy,-clang-analyzer-*" ;; esac # it does not know that cmocka's assertions do not return
    task "clang-tidy $f" "clang-tidy --quiet --checks='$tidy' $f -- -std=c99 $scalar -I. -Ihost -Itests $LUA_CFLAGS \
      2>/dev/null >$dir/tidy-$number; ! grep -A12 '/$f:[0-9]*:[0-9]*: [we][ar]' $dir/tidy-$number"
  done
else skip clang-tidy "not installed"; fi
task "setup.sh is sh" "sh -n scripts/setup.sh && bash -n .ci/run"

# --- run ------------------------------------------------------------------------------------------------------------

find "$tasks" -type f | sort | xargs -n 1 -P "${JOBS:-2}" sh tests/compile/task.sh | tee -a "$log"
"$LSTM" tests/compile/header.lua lstm.h host/*.c host/*.h host/lua/*.lua scripts/* examples/*.c tests/*/*.c \
  tests/*/*.h tests/*/*.lua tests/*.sh tests/*/*.sh host/*.rockspec README.md CHANGELOG.md Makefile 2>&1 | tee -a "$log"
grep '^skip ' "$log"
passed=$(grep -c '^ok ' "$log")
failed=$(grep -c '^not ok ' "$log")
grep -q '^ok one version everywhere' "$log" || grep -q '^not ok one version' "$log" || failed=$((failed + 1))
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
