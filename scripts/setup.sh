#!/bin/sh
# Installs what building and testing need and what is not there yet; does nothing when everything is there.
# usage: sh scripts/setup.sh [--dev]      (make setup, make setup-dev)
# A C compiler and make are assumed. --dev adds what `make check`, sanitize, fuzz, cross, valgrind, the tests of what is
# installed, of reports, other Luas, the gesture game and small devices use; the parts of these that miss something
# skip, so nothing of it makes this script fail.
set -u

say() { echo "setup: $*"; }
have() { command -v "$1" >/dev/null 2>&1; }
cc=${CC:-cc}
# Homebrew keeps Lua 5.4 out of the way of its newest Lua
brew_lua=opt/lua@5.4/lib/pkgconfig
export PKG_CONFIG_PATH="${PKG_CONFIG_PATH:-}:/opt/homebrew/$brew_lua:/usr/local/$brew_lua"

# --- what is there? -------------------------------------------------------------------------------------------------

compiles() { # stdin: C source; arguments: flags
  "$cc" "$@" -fsyntax-only -x c - 2>/dev/null
}
lua_package() {
  for p in lua5.4 lua-5.4 lua54 lua; do
    case $(pkg-config --modversion $p 2>/dev/null) in 5.4*) echo $p; return ;; esac
  done
}
has_libc() { echo '#include <stdlib.h>' | compiles; }
has_pkgconfig() { have pkg-config; }
has_lua() { p=$(lua_package) && [ -n "$p" ] && echo '#include <lua.h>' | compiles $(pkg-config --cflags "$p"); }
has_cmocka() {
  printf '#include <%s>\n' stdarg.h stddef.h stdint.h setjmp.h cmocka.h |
    compiles $(pkg-config --cflags cmocka 2>/dev/null)
}
has_luaunit() { # where Lua 5.4 looks for modules
  for d in /usr/share/lua/5.4 /usr/local/share/lua/5.4 /opt/homebrew/share/lua/5.4; do
    [ -f $d/luaunit.lua ] && return 0
  done
  return 1
}
has_edit() { # for the prompt: keys, history; optional
  [ "$(uname -s)" = Darwin ] || pkg-config --exists libedit 2>/dev/null
}
has_clang() { # with its run-time libraries: the fuzzer needs them
  have clang && have clang++ &&
    echo 'int LLVMFuzzerTestOneInput(const unsigned char*d,unsigned long n){return d&&n>9;}' |
    clang -w -fsanitize=fuzzer -x c -o /dev/null - 2>/dev/null
}
has_gxx() { have g++; }
has_clang_tidy() { have clang-tidy; }
has_cppcheck() { have cppcheck; }
has_luacheck() { have luacheck; }
has_valgrind() { have valgrind; }
has_qemu() { have qemu-aarch64 || have qemu-aarch64-static; }
has_gcc_aarch64() { have aarch64-linux-gnu-gcc; }
has_gcc_riscv64() { have riscv64-linux-gnu-gcc; }
has_gcc_s390x() { have s390x-linux-gnu-gcc; }
has_gcc_i386() { have i686-linux-gnu-gcc; }
has_mingw() { have x86_64-w64-mingw32-gcc; }
has_wine() { have wine64 || have wine || have /usr/lib/wine/wine64; }
has_wasi() {
  echo '#include <stdio.h>
    int main(void) { return puts(""); }' |
    clang --target=wasm32-wasi --sysroot="${WASI_SYSROOT:-/usr}" -x c -o /dev/null - 2>/dev/null
}
has_node() { have node; }
has_luarocks() { have luarocks; }
has_mandoc() { have mandoc; }
has_groff() { have groff; }
has_lua_interpreter() { have lua5.4; }
# The other Luas that the module is made for, with headers; programs with a Lua of their own.
has_lua5() { pkg-config --exists "lua$1" 2>/dev/null || pkg-config --exists "lua-$1" 2>/dev/null; }
has_lua51() { has_lua5 5.1 && { have lua5.1 || have lua51; }; }
has_lua52() { has_lua5 5.2 && { have lua5.2 || have lua52; }; }
has_lua53() { has_lua5 5.3 && { have lua5.3 || have lua53; }; }
has_luajit() { have luajit && pkg-config --exists luajit 2>/dev/null; }
has_love() { have love; }
has_neovim() { have nvim; }
# The gesture game, and a screen that nobody sees for its test.
has_sdl2() { pkg-config --exists sdl2 2>/dev/null; }
has_xvfb() { have Xvfb; }
has_xdotool() { have xdotool; }
has_imagemagick() { have import || have magick; }
# Small devices: a Cortex-M4, run by QEMU.
has_gcc_arm() { have arm-none-eabi-gcc && [ -n "$(arm-none-eabi-gcc -print-file-name=nano.specs | grep /)" ]; }
has_qemu_arm() { have qemu-system-arm; }
has_chromium() { have chromium || have chromium-browser || have google-chrome; }

# --- what are they called? ------------------------------------------------------------------------------------------

package() { # manager, thing -> package names (nothing: the manager does not have it)
  case $1:$2 in
    apt-get:libc) echo libc6-dev ;;
    apt-get:pkgconfig) echo pkg-config ;;
    apt-get:lua) echo liblua5.4-dev ;;
    apt-get:cmocka) echo libcmocka-dev ;;
    apt-get:luaunit) echo lua-unit ;;
    apt-get:edit | apk:edit) echo libedit-dev ;;
    dnf:edit) echo libedit-devel ;;
    *:edit) echo libedit ;;
    apt-get:clang) echo clang "$(apt_runtime)" ;;
    apt-get:gxx) echo g++ ;;
    apt-get:clang_tidy) echo clang-tidy ;;
    apt-get:luacheck) echo lua-check ;;
    apt-get:qemu) echo qemu-user ;;
    apt-get:gcc_aarch64) echo gcc-aarch64-linux-gnu libc6-dev-arm64-cross ;;
    apt-get:gcc_riscv64) echo gcc-riscv64-linux-gnu libc6-dev-riscv64-cross ;;
    apt-get:gcc_s390x) echo gcc-s390x-linux-gnu libc6-dev-s390x-cross ;;
    apt-get:gcc_i386) echo gcc-i686-linux-gnu libc6-dev-i386-cross ;;
    apt-get:mingw) echo gcc-mingw-w64-x86-64-posix ;;
    apt-get:wine) echo wine64 ;;
    apt-get:wasi) echo wasi-libc lld libclang-rt-dev-wasm32 ;;
    apt-get:node) echo nodejs ;;
    apt-get:lua_interpreter) echo lua5.4 ;;
    apt-get:lua51) echo lua5.1 liblua5.1-0-dev ;;
    apt-get:lua52) echo lua5.2 liblua5.2-dev ;;
    apt-get:lua53) echo lua5.3 liblua5.3-dev ;;
    apt-get:luajit) echo luajit libluajit-5.1-dev ;;
    apt-get:sdl2) echo libsdl2-dev ;;
    apt-get:gcc_arm) echo gcc-arm-none-eabi libnewlib-arm-none-eabi ;;
    apt-get:qemu_arm) echo qemu-system-arm ;;
    dnf:lua51) echo compat-lua compat-lua-devel ;;
    dnf:lua52 | dnf:lua53) ;;
    dnf:luajit) echo luajit luajit-devel ;;
    dnf:sdl2) echo SDL2-devel ;;
    dnf:xvfb) echo xorg-x11-server-Xvfb ;;
    dnf:imagemagick) echo ImageMagick ;;
    dnf:gcc_arm) echo arm-none-eabi-gcc-cs arm-none-eabi-newlib ;;
    dnf:qemu_arm) echo qemu-system-arm ;;
    pacman:lua5[123]) echo "$2" ;;
    pacman:xvfb) echo xorg-server-xvfb ;;
    pacman:gcc_arm) echo arm-none-eabi-gcc arm-none-eabi-newlib ;;
    pacman:qemu_arm) echo qemu-system-arm ;;
    apk:lua51) echo lua5.1 lua5.1-dev ;;
    apk:lua52) echo lua5.2 lua5.2-dev ;;
    apk:lua53) echo lua5.3 lua5.3-dev ;;
    apk:luajit) echo luajit luajit-dev ;;
    apk:sdl2) echo sdl2-dev ;;
    apk:gcc_arm) echo gcc-arm-none-eabi newlib-arm-none-eabi ;;
    apk:qemu_arm) echo qemu-system-arm ;;
    brew:lua51) echo lua@5.1 ;;
    brew:lua53) echo lua@5.3 ;;
    brew:lua52 | brew:xvfb | brew:gcc_arm) ;;
    brew:qemu_arm) echo qemu ;;
    dnf:libc) echo glibc-devel ;;
    dnf:pkgconfig) echo pkgconf-pkg-config ;;
    dnf:lua) echo lua-devel ;;
    dnf:cmocka) echo libcmocka-devel ;;
    dnf:luaunit | pacman:luaunit | brew:luaunit) echo luarocks ;;
    dnf:clang) echo clang compiler-rt ;;
    dnf:gxx) echo gcc-c++ ;;
    dnf:clang_tidy) echo clang-tools-extra ;;
    dnf:luacheck) ;;
    dnf:qemu) echo qemu-user ;;
    dnf:gcc_*) ;; # Fedora's cross compilers come without a C library
    dnf:mingw) echo mingw64-gcc mingw64-winpthreads-static ;;
    dnf:wine) echo wine-core ;;
    dnf:wasi) echo wasi-libc-static lld ;;
    dnf:node) echo nodejs ;;
    pacman:libc) echo glibc ;;
    pacman:pkgconfig) echo pkgconf ;;
    pacman:lua) echo lua54 ;;
    pacman:clang) echo clang compiler-rt ;;
    pacman:gxx) echo gcc ;;
    pacman:clang_tidy) echo clang ;;
    pacman:luacheck) echo luacheck ;;
    pacman:qemu) echo qemu-user ;;
    pacman:gcc_aarch64) echo aarch64-linux-gnu-gcc ;;
    pacman:gcc_riscv64) echo riscv64-linux-gnu-gcc ;;
    pacman:mingw) echo mingw-w64-gcc ;;
    pacman:wasi) echo wasi-libc wasi-compiler-rt lld ;;
    pacman:node | apk:node) echo nodejs ;;
    apk:libc) echo musl-dev ;;
    apk:pkgconfig) echo pkgconf ;;
    apk:lua) echo lua5.4-dev ;;
    apk:cmocka) echo cmocka-dev ;;
    apk:luaunit) echo luarocks5.4 ;;
    apk:clang) echo clang compiler-rt ;;
    apk:clang_tidy) echo clang-extra-tools ;;
    apk:luacheck | apk:wasi) ;;
    apk:mingw) echo mingw-w64-gcc ;;
    apk:qemu) echo qemu-aarch64 qemu-riscv64 qemu-s390x ;;
    brew:pkgconfig) echo pkgconf ;;
    brew:lua) echo lua@5.4 ;;
    brew:libc | brew:clang | brew:gxx | brew:clang_tidy | brew:valgrind) ;;
    brew:qemu | brew:wine | brew:wasi) ;;
    brew:mingw) echo mingw-w64 ;;
    brew:mandoc | *:lua_interpreter) ;;
    *:gcc_*) ;;
    *:gxx) echo g++ ;;
    *) echo "$2" ;;
  esac
}
apt_runtime() { # the sanitizers' and the fuzzer's libraries go by the compiler's version
  version=$(apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p' | head -n 1)
  apt-cache search --names-only "^libclang-rt-$version-dev\$" 2>/dev/null | awk '{print $1}'
}

# --- install --------------------------------------------------------------------------------------------------------

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"
  elif have sudo; then sudo "$@"
  else
    say "this needs root: install sudo, or run as root: $*"
    return 1
  fi
}
install() { # manager, packages
  manager=$1
  shift
  case $manager in
    apt-get) as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -y -qq \
      --no-install-recommends install "$@" ;;
    dnf) as_root dnf -y -q install "$@" ;;
    pacman) as_root pacman -Sy --noconfirm --needed "$@" ;;
    apk) as_root apk add -q "$@" ;;
    brew) brew install -q "$@" ;; # refuses to run as root
  esac
}
missing() {
  for t in "$@"; do "has_$t" || printf '%s ' "$t"; done
}

things="libc pkgconfig lua cmocka luaunit edit"
[ "${1:-}" = "--dev" ] && things="$things gxx clang clang_tidy cppcheck luacheck valgrind qemu
  gcc_aarch64 gcc_riscv64 gcc_s390x gcc_i386 mingw wine wasi node luarocks mandoc groff
  lua_interpreter lua51 lua52 lua53 luajit love neovim sdl2 xvfb xdotool imagemagick gcc_arm qemu_arm
  chromium"

todo=$(missing $things)
if [ -z "$todo" ]; then
  say "everything is there"
  exit 0
fi
say "missing: $todo"

manager=
for m in apt-get dnf pacman apk brew; do have $m && manager=$m && break; done
if [ -z "$manager" ]; then
  say "none of apt-get, dnf, pacman, apk and brew was found: please install these by hand"
  exit 1
fi
if [ "$manager" = apt-get ]; then
  say "apt-get update"
  as_root apt-get -o DPkg::Lock::Timeout=300 -qq update ||
    say "the update failed, going on with the lists that are there"
fi

for t in $todo; do
  names=$(package $manager "$t")
  if [ -z "$names" ]; then
    say "$t: $manager has no package for it"
    continue
  fi
  "has_$t" && continue # came with an earlier one
  say "$manager install $names"
  install $manager $names >/dev/null || say "$t could not be installed"
done

# luaunit is a package of its own only in some systems; luarocks has it everywhere
if ! has_luaunit && [ "$manager" != apt-get ]; then
  for l in luarocks luarocks-5.4 luarocks5.4; do
    if have $l; then
      say "$l install luaunit"
      if [ "$manager" = brew ]; then $l --lua-version 5.4 install luaunit >/dev/null
      else as_root $l --lua-version 5.4 install luaunit >/dev/null; fi && break
    fi
  done
fi

todo=$(missing $things)
case " $todo" in
  " ") say "done" ;;
  *) say "still missing: $todo"
     for t in $todo; do case " libc pkgconfig lua cmocka luaunit " in *" $t "*) exit 1 ;; esac; done ;;
esac
exit 0
