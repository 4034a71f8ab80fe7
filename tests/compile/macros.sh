# The macros that lstm.h leaves behind are all named LSTM_. usage: sh tests/compile/macros.sh COMPILER
set -eu
macros() { "$1" -std=c99 -I. -dM -E -x c - | awk '{print $2}' | sed 's/(.*//' | sort -u; }
includes=$(sed -n 's/^ *# *include \(<[^>]*>\).*/#if __has_include(\1)\n#include \1\n#endif/p' lstm.h)
status=0
for define in "" "#define LSTM_IMPLEMENTATION"; do
  before=$(printf '%s\n' "$includes" | macros "$1")
  after=$(printf '%s\n%s\n%s\n' "$includes" "$define" '#include "lstm.h"' | macros "$1")
  new=$(printf '%s\n' "$before" "$before" "$after" | sort | uniq -u | grep -v '^LSTM_' || true)
  if [ -n "$new" ]; then
    echo "defined by lstm.h ${define:+with LSTM_IMPLEMENTATION}:" $new
    status=1
  fi
done
exit $status
