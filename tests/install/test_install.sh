# make install into a folder, with everything used from there and nothing from here; then make uninstall.
# BUILD, CC: where to work, the compiler.
set -u
unset MAKEFLAGS MFLAGS MAKELEVEL
dir=${BUILD:-build}/install
rm -rf "$dir"
mkdir -p "$dir/work"
root=$(cd "$dir" && pwd)/root prefix=/opt/lstm
there=$root$prefix
here=$(pwd)
status=0
check() { # name, command
  if said=$(eval "$2" 2>&1); then echo "ok $1"; else printf 'not ok %s\n%s\n' "$1" "$said"; status=1; fi
}
skip() { echo "skip $1: $2"; }
have() { command -v "$1" >/dev/null 2>&1; }

check "make install" "make --no-print-directory install DESTDIR='$root' PREFIX=$prefix"
cat >"$dir/work/use.c" <<'END'
#define LSTM_IMPLEMENTATION
#include <lstm.h>
#include <stdio.h>
int main(void) { return puts(LSTM_VERSION_STRING) < 0 || !lstm_isa_usable(LSTM_ISA_SCALAR); }
END
cd "$dir/work" || exit 1
version=$(sed -n 's/^#define LSTM_VERSION_STRING "\(.*\)"/\1/p' "$here/lstm.h")
if have pkg-config; then
  export PKG_CONFIG_SYSROOT_DIR="$root" PKG_CONFIG_LIBDIR="$there/lib/pkgconfig"
  check "pkg-config knows the version" "[ \"\$(pkg-config --modversion lstm)\" = '$version' ]"
  check "a C program, by pkg-config" "${CC:-cc} -O1 -DLSTM_NO_PORTABLE -DLSTM_NO_SIMD \$(pkg-config --cflags lstm) \
    use.c -o use && [ \"\$(./use)\" = '$version' ]"
else skip "pkg-config" "not installed"; fi
check "the installed lstm" "'$there/bin/lstm' --version | grep -F '$version'"
check "it has its module" "'$there/bin/lstm' -e 'assert(require(\"lstm\").version == \"$version\")'"
check "a script of share/lstm/scripts" "'$there/bin/lstm' '$there/share/lstm/scripts/cell.lua' --help"
if have lua5.4; then
  check "require \"lstm\" in lua5.4" "LUA_CPATH='$there/lib/lua/5.4/?.so' LUA_PATH=';' lua5.4 -e '
    local lstm = require \"lstm\"
    assert(lstm.version == \"$version\" and #lstm.zeros(3) == 3)'"
else skip "require \"lstm\" in lua5.4" "no lua5.4"; fi
check "the stubs are Lua" "'$there/bin/lstm' -e 'assert(loadfile \"$there/share/lstm/lstm.d.lua\")'"

page=$there/share/man/man1/lstm.1
if have mandoc; then check "the manual page, mandoc" "mandoc -Tlint -Wwarning,stop '$page'"
else skip "the manual page, mandoc" "not installed"; fi
if have groff; then check "the manual page, groff" "[ -z \"\$(groff -man -mdoc -ww -z '$page' 2>&1)\" ]"
else skip "the manual page, groff" "not installed"; fi
for command in $("$there/bin/lstm" --help | sed -n '/^Commands/,/^$/s/^  \([a-z][a-z]*\) .*/\1/p'); do
  check "the manual page has the command $command" "grep -q '^.It Cm $command\( \|\$\)' '$page'"
done

cd "$here" || exit 1
unset PKG_CONFIG_SYSROOT_DIR PKG_CONFIG_LIBDIR
check "make uninstall leaves nothing" "make --no-print-directory uninstall DESTDIR='$root' PREFIX=$prefix &&
  [ -z \"\$(find '$root' -type f)\" ]"
exit $status
