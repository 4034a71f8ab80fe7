# Every example without a warning under the strict flags, as C and, those of one file, as C++; then built and run: see
# tests/examples/run.sh.
set -u
dir=${BUILD:-build}/examples-strict
cc=${CC:-cc}
warn="${WARN:--Wall -Wextra -pedantic -Wconversion -Wsign-conversion -Wshadow} -Werror -fsyntax-only"
status=0
mkdir -p "$dir"
{ echo '#undef LSTM_IMPLEMENTATION'; cat lstm.h; } >"$dir/lstm.h" # whose own warnings are looked for elsewhere
strict() { # file, compiler and its flags
  file=$1
  shift
  if said=$("$@" $warn -I"$dir" -I. "$file" 2>&1); then echo "ok $file, strict $1"
  else printf 'not ok %s, strict %s\n%s\n' "$file" "$1" "$said"; status=1; fi
}
for file in examples/*.c examples/*/*.c examples/*.cpp; do
  [ -f "$file" ] || continue
  sdl=
  if grep -q SDL.h "$file"; then
    sdl=$(pkg-config --cflags sdl2 2>/dev/null | sed "s,-I,-isystem ,g")
    [ -n "$sdl" ] || { echo "skip $file: SDL2 is not installed"; continue; }
  fi
  case $file in *.c) strict "$file" "$cc" -std=c99 $sdl ;; esac
  [ -z "$sdl" ] || continue
  command -v c++ >/dev/null 2>&1 || { echo "skip $file in C++: no c++ compiler"; continue; }
  strict "$file" c++ -x c++ -std=c++11 -Wno-missing-field-initializers $sdl # {0} is C's
done
sh tests/examples/run.sh --quick | sed '/^[0-9]* \(passed, [0-9]* failed\|skipped\)$/d'
exit $status
