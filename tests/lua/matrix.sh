# The Lua tests under other interpreters than the host, each with the module made for it (make module LUA=...).
# usage: sh tests/lua/matrix.sh [-v] LUA...      LUA: 5.1, 5.2, 5.3, 5.4, luajit; -v: a line for each file
# Prints a table, what was skipped and why, and "N passed, N failed". FILES: the tests; BUILD: where to build.
set -u
verbose=
[ "${1:-}" = -v ] && verbose=1 && shift
build=${BUILD:-build}
files=${FILES:-$(ls tests/lua/*.lua)}
results=$build/results-lua
mkdir -p "$results"
reasons=$results/reasons.txt
: >"$reasons"
: >"$results/sum.txt"
skip() { echo "$1|$2" >>"$reasons"; } # reason|what

interpreter() { # the program for a LUA, if there is one
  case $1 in
    luajit) set -- luajit ^LuaJIT luajit ;;
    *) set -- "$1" "^Lua $1" "lua$1" "lua-$1" "lua${1%.*}${1#*.}" lua ;;
  esac
  pattern=$2
  shift 2
  for p in "$@"; do
    "$p" -v 2>&1 | grep -q "$pattern" && echo "$p" && return
  done
}
hosts_own() { # what a test of the host alone is about, or nothing
  case $(basename "$1" .lua) in
    cli | prompt | errors) echo "the host's command line, prompt and error reports" ;;
    sandbox) echo "the sandbox of ./lstm" ;;
    scripts_*) echo "the scripts, run by ./lstm as its commands are" ;;
  esac
}
row() { printf '%-10s %8s %8s %8s   %s\n' "$@"; }

run_all() { # LUA, interpreter
  folder=$build/lua$1
  [ "$1" = luajit ] && folder=$build/luajit
  [ "$1" = 5.4 ] && folder=$build
  LUA_CPATH="$(cd "$folder" && pwd)/?.so;;"
  LUA_PATH=";;/usr/share/lua/5.4/?.lua;/usr/local/share/lua/5.4/?.lua;/opt/homebrew/share/lua/5.4/?.lua" # luaunit
  export LUA_CPATH LUA_PATH
  total="0 0 0"
  for f in $files; do
    name=$2_$(basename "$f" .lua)
    reason=$(hosts_own "$f")
    if [ -n "$reason" ]; then
      skip "$reason" "$(basename "$f")"
      continue
    fi
    said=$(LSTM=$2 LSTM_PLAIN=1 sh tests/run.sh "$name" "$results/$name.txt" "$2" tests/lua/support/under.lua "$f" -v)
    [ -n "$verbose" ] && echo "$said"
    awk '/ \.\.\. SKIP$/ {getline; print}' "$results/$name.txt" | while read -r why; do skip "$why" "$2"; done
    total=$(tail -n 1 "$results/$name.txt" | awk -v t="$total" '{split(t, a); print a[1] + $3, a[2] + $4, a[3] + $5}')
    if [ "$(tail -n 1 "$results/$name.txt" | cut -d' ' -f4)" != 0 ]; then
      echo "--- $name"
      grep -v '^result ' "$results/$name.txt" | tail -n 100
    fi
  done
  # shellcheck disable=SC2086 # three numbers
  set -- "$1" "$2" $total
  row "$2" "$3" "$4" "$5" "" >>"$results/table.txt"
  echo "$3 $4" >>"$results/sum.txt"
}

row interpreter passed failed skipped "" >"$results/table.txt"
for lua in "$@"; do
  program=$(interpreter "$lua")
  if [ -z "$program" ]; then
    row "$lua" - - - "not installed (make setup-dev)" >>"$results/table.txt"
  elif ! "${MAKE:-make}" --no-print-directory BUILD="$build" module LUA="$lua" >"$results/make.txt" 2>&1; then
    tail -n 20 "$results/make.txt"
    row "$lua" 0 1 0 "the module was not built, see above" >>"$results/table.txt"
    echo "0 1" >>"$results/sum.txt"
  else run_all "$lua" "$program"; fi
done
cat "$results/table.txt"
sort "$reasons" | awk -F '|' '{
    if ($1 != before) { if (before != "") print "skipped: " before " (" list ")"; before = $1; list = ""; last = "" }
    if ($2 != last) list = list (list == "" ? "" : ", ") $2
    last = $2
  } END { if (before != "") print "skipped: " before " (" list ")" }'
awk '{p += $1; f += $2} END {printf "%d passed, %d failed\n", p, f; exit f > 0}' "$results/sum.txt"
