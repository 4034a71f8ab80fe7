# Compiles and links every C example of the manual and of the README, in C and in C++, with the strict flags.
# Those that are whole programs and need no file are run as well. The README's Lua examples are run, too.
set -u
dir=${BUILD:-build}/snippets
warn="${WARN:--Wall -Wextra -pedantic -Wconversion -Wsign-conversion -Wshadow} -Werror"
warn="$warn -Wno-unused-function -Wno-unused-variable -Wno-unused-but-set-variable"
quick="-O1 -DLSTM_NO_PORTABLE" # the portable kernels would take a quarter of the time
cc=${CC:-cc}
rm -rf "$dir"
mkdir -p "$dir"
status=0
fail() { printf 'not ok %s\n%s\n' "$1" "$2"; status=1; }

$cc -std=c99 $quick -I. -DLSTM_IMPLEMENTATION -x c -c -o "$dir/lstm.o" lstm.h || status=1

one() { # compiler, flags, language, file
  name="$(basename "$4") ($1)"
  wrapped=$4
  main=
  implementation="$dir/lstm.o"
  if grep -q 'int main' "$4"; then
    if grep -q LSTM_IMPLEMENTATION "$4"; then implementation=; fi
  else # a fragment: statements, or functions that name themselves
    wrapped=${4%.*}_wrapped.${4##*.}
    { echo '#include "tests/compile/fragment.h"'
      if grep -qE '^(static )?[a-z_]+ [*a-z_]+\(.*\) \{' "$4"; then cat "$4"
      else echo 'int fragment(lstm_model *model, lstm_state *state, lstm_trainer *trainer, float *x, float *y);'
        echo 'int fragment(lstm_model *model, lstm_state *state, lstm_trainer *trainer, float *x, float *y) {'
        cat "$4"
        echo '(void)model; (void)state; (void)trainer; (void)x; (void)y; return 0; }'; fi
      echo 'int main(void) { return 0; }'; } >"$wrapped"
  fi
  said=$($1 $2 $quick $warn -I. -x $3 "$wrapped" -x none $implementation -o "${4%.*}_$3" 2>&1) ||
    { fail "$name" "$said"; return; }
  if grep -q 'int main' "$4" && ! grep -q '_file(' "$4"; then
    said=$("${4%.*}_$3" 2>&1) || { fail "$name, run" "$said"; return; }
  fi
  echo "ok $name"
}

for source in lstm.h README.md; do
  prefix=$(basename "$source" | tr . _)
  for file in $(awk -v dir="$dir" -v prefix="$prefix" -f tests/compile/extract.awk "$source"); do
    one "$cc" -std=c99 c "$file"
  done
  if command -v c++ >/dev/null 2>&1; then
    for file in $(awk -v dir="$dir" -v prefix="$prefix" -v cpp=1 -f tests/compile/extract.awk "$source"); do
      one c++ -std=c++11 c++ "$file"
    done
  else echo "skip $source in C++: no c++ compiler"; fi
done

# the README's Lua examples, each a program; on a text that is there, and for fewer steps
if [ -x "${LSTM:-./lstm}" ]; then
  cat lstm.h >"$dir/corpus.txt"
  awk -v dir="$dir" '/^```lua/ {file = dir "/readme" (++n) ".lua"; next} /^```/ {file = ""} file {print >file}' \
    README.md
  for file in "$dir"/readme*.lua; do
    sed "s,\"\(corpus\|loss\|forecast\|temperatures\)\.,\"$dir/\1.,; s/steps = 2000/steps = 20/
      s/length = 400/length = 20/; s/epochs = 10/epochs = 1/" "$file" >"$file.short"
    if said=$("${LSTM:-./lstm}" "$file.short" 2>&1); then echo "ok README.md in Lua, $(basename "$file")"
    else fail "README.md in Lua, $(basename "$file")" "$said"; fi
  done
fi
exit $status
