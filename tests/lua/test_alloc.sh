# The Lua API when memory runs out: builds the little module of tests/lua/alloc and runs its script in the host.
# LSTM, BUILD, CC: the host, where to build, the compiler.
set -e
build=${BUILD:-build}
mkdir -p "$build/tests/alloc"
for name in lua5.4 lua-5.4 lua54 lua; do
  if flags=$(pkg-config --cflags "$name" 2>/dev/null); then break; fi
done
case $(uname -s) in Darwin) shared="-bundle -undefined dynamic_lookup" ;; *) shared=-shared ;; esac
# shellcheck disable=SC2086 # several words each
${CC:-cc} -std=c99 -O2 -Wall -Wextra -fPIC $shared $flags -o "$build/tests/alloc/alloc.so" tests/lua/alloc/alloc.c
exec "${LSTM:-./lstm}" tests/lua/alloc/alloc.lua "$build/tests/alloc" "$@"
