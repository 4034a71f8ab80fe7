# The Lua module in other programs than ./lstm: plain Lua 5.4 offers what the host does; LuaJIT, LÖVE and Neovim train,
# save and load with the module for LuaJIT. LSTM, BUILD: the host, where it was built.
set -u
unset MAKEFLAGS MFLAGS MAKELEVEL
host=${LSTM:-./lstm} build=${BUILD:-build} here=tests/lua/hosts
out=$build/hosts
mkdir -p "$out"
root=$(pwd)
status=0
skip() { echo "skip $1: $2"; }
have() { command -v "$1" >/dev/null 2>&1; }
check() { # name, command
  if said=$(eval "$2" 2>&1); then echo "ok $1"; else printf 'not ok %s\n%s\n' "$1" "$said"; status=1; fi
}

"$host" $here/names.lua >"$out/host.txt" || status=1
same="the same functions and methods as in ./lstm ($(wc -l <"$out/host.txt" | tr -d ' ') names)"
if have lua5.4; then
  check "require \"lstm\" in lua5.4: $same" "LUA_CPATH='$build/?.so' lua5.4 $here/names.lua >$out/lua5.4.txt &&
    diff $out/host.txt $out/lua5.4.txt"
else skip "lua5.4" "not installed"; fi
printf 'print(require("lstm").version)\n' >"$out/lstm.lua"
check "a script called lstm.lua does not hide the module from ./lstm" \
  "host=\$(realpath $host) && cd '$out' && \$host lstm.lua && \$host -e 'require \"lstm\".zeros(1)'"

if ! pkg-config --exists luajit 2>/dev/null; then
  skip "LuaJIT, LÖVE, Neovim" "the headers of LuaJIT are not installed (make setup-dev)"
  exit $status
fi
check "make module LUA=luajit" "make --no-print-directory BUILD='$build' module LUA=luajit"
module=$root/$build/luajit
case $build in /*) module=$build/luajit ;; esac
if have luajit; then
  check "LuaJIT trains, saves, loads" "LUA_CPATH='$module/?.so' luajit $here/use.lua"
  check "LuaJIT: $same" "LUA_CPATH='$module/?.so' luajit $here/names.lua >$out/luajit.txt &&
    diff $out/host.txt $out/luajit.txt"
else skip "LuaJIT" "not installed"; fi
if have love; then
  check "LÖVE trains, saves, loads; a lesson in its frames" \
    "timeout 60 love $here '$module' '$root/$here/use.lua' >$out/love.txt && grep '^love: a lesson' $out/love.txt"
else skip "LÖVE" "not installed"; fi
if have nvim; then
  check "Neovim trains, saves, loads" "LUA_CPATH='$module/?.so' timeout 60 nvim --headless -u NONE -i NONE -c \
    'lua if not xpcall(dofile, print, \"$here/use.lua\") then vim.cmd [[cquit]] end' -c 'qa!'"
else skip "Neovim" "not installed"; fi
exit $status
