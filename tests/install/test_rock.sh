# The rockspec: luarocks builds the module with it, and plain Lua loads that. BUILD: where to work.
set -u
unset MAKEFLAGS MFLAGS MAKELEVEL
dir=${BUILD:-build}/rock-tree
status=0
check() { # name, command
  if said=$(eval "$2" 2>&1); then echo "ok $1"; else printf 'not ok %s\n%s\n' "$1" "$said"; status=1; fi
}
version=$(sed -n 's/^#define LSTM_VERSION_STRING "\(.*\)"/\1/p' lstm.h)
rock=host/lstm-$version-1.rockspec
check "the rockspec has the version of lstm.h" "grep -qx 'version = \"$version-1\"' $rock"
if ! command -v luarocks >/dev/null 2>&1; then
  echo "skip luarocks make: luarocks is not installed"
  exit $status
fi
rm -rf "$dir"
mkdir -p "$dir"
mkdir -p build/rock/host # what takes longest need not be compiled again
[ -f build/host/lstm_impl.o ] && cp -p build/host/lstm_impl.o build/rock/host/
check "luarocks lint" "luarocks --lua-version 5.4 lint $rock"
check "luarocks make" "luarocks --lua-version 5.4 make --tree '$(cd "$dir" && pwd)' $rock"
if command -v lua5.4 >/dev/null 2>&1; then
  check "the rock in lua5.4" "LUA_CPATH='$dir/lib/lua/5.4/?.so' lua5.4 -e '
    local lstm = require \"lstm\"
    local model = lstm.model{input = 2, lstm.lstm(3), lstm.dense(1)}
    assert(lstm.version == \"$version\" and model)'"
else echo "skip the rock in lua5.4: no lua5.4"; fi
exit $status
