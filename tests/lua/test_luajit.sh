# The Lua module for LuaJIT, where LuaJIT and its headers are installed. BUILD, CC: where to build, the compiler.
build=${BUILD:-build}
name="the module works in LuaJIT (Lua 5.1)"
if ! command -v luajit >/dev/null 2>&1 || ! flags=$(pkg-config --cflags luajit 2>/dev/null); then
  echo "skip $name: LuaJIT or its headers are not installed"
  exit 0
fi
mkdir -p "$build/tests/luajit"
# shellcheck disable=SC2046,SC2086 # several words each
if ! ${CC:-cc} -std=c99 -O1 -Wall -Wextra -Werror -DLSTM_LUAJIT -DLSTM_NO_PORTABLE -fPIC -shared -fvisibility=hidden \
  $flags -I. -Ihost $(ls host/*.c | grep -v -e main.c -e repl.c -e embed.c) "$build/embedded.c" \
  -o "$build/tests/luajit/lstm.so" -lpthread
then
  echo "not ok $name: it does not compile"
  exit 1
fi
LUA_CPATH="$build/tests/luajit/?.so" luajit tests/lua/luajit/use.lua || { echo "not ok $name"; exit 1; }
