# Builds every example by the line that its first comment gives, and runs it: one line each, with what it says last.
# usage: sh tests/examples/run.sh [--quick] [NAME...]     (make examples; make examples EXAMPLES="npcs jobs")
# --quick: linked with $BUILD/host/lstm_impl.o, where an example needs nothing else of lstm.h, and without the gesture
# game, whose driver takes a while: for make test.
# What needs a tool that is missing is skipped, with the reason. Prints "N passed, N failed" last.
set -u
: "${BUILD:=build}" "${CC:=cc}" "${CXX:=c++}"
object=$BUILD/host/lstm_impl.o
quick=
[ "${1:-}" != --quick ] || { quick=1; shift; }
dir=$BUILD/examples${quick:+-quick}
all=$(ls -d examples/*.c examples/*.cpp examples/gesture 2>/dev/null | sed 's,.*/,,; s,\..*,,; /^train$/d')
wanted=${*:-"train $all"}
[ -z "$quick" ] || [ $# -gt 0 ] || wanted=$(echo "$wanted" | sed '/^gesture$/d')
limit=
command -v timeout >/dev/null 2>&1 && limit="timeout ${EXAMPLE_TIMEOUT:-120}"
rm -rf "$dir"
mkdir -p "$dir/declared"
{ echo '#undef LSTM_IMPLEMENTATION'; cat lstm.h; } >"$dir/declared/lstm.h"
passed=0 failed=0 skipped=0
ok() { passed=$((passed + 1)); echo "ok $1"; }
not_ok() { failed=$((failed + 1)); printf 'not ok %s\n%s\n' "$1" "$2"; }
skip() { skipped=$((skipped + 1)); echo "skip $1: $2"; }
have() { command -v "$1" >/dev/null 2>&1; }
check() { # name, command: its last line is the result
  if said=$(eval "$2" 2>&1); then ok "$1: $(printf '%s\n' "$said" | grep . | tail -n 1 | cut -c 1-110)"
  else not_ok "$1" "$said"; return 1; fi
}

line_of() { # source -> its build line, without what runs it
  sed -n '1,20p' "$1" | grep -oE '(^|[ `])(cc|c\+\+) -O[^&`]*' | head -n 1 | sed 's/^[ `]*//; s,[ */]*$,,'
}
# The line with this machine's compilers and the program in $dir; with --quick also with another lstm.h.
command_of() { # source, line
  set -- "$1" "$(echo "$2" | sed "s,-o  *,-o $dir/,; s,^cc ,$CC ,; s,^c++ ,$CXX ,")"
  if [ -n "$quick" ] && [ -f "$object" ] && ! grep -qE 'LSTM_(NO_|ONLY_|STATIC|MALLOC|API)' "$1"; then
    echo "$2" | sed "s, -I\. , -I$dir/declared -I. ,; s,$1,$1 -x none $object,"
  else echo "$2"; fi
}
build() { # name, source
  line=$(line_of "$2")
  [ -n "$line" ] || { not_ok "$1" "$2 does not say how to build it"; return 1; }
  case $line in c++*) have "$CXX" || { skip "$1" "no C++ compiler"; return 1; } ;; esac
  said=$(eval "$(command_of "$2" "$line")" 2>&1) || { not_ok "$1: $line" "$said"; return 1; }
}
run() { # name, source, arguments: exit status 0, and nothing that it calls wrong itself
  [ -f "$2" ] || { skip "$1" "$2 is not there"; return 1; }
  build "$1" "$2" || return 1
  check "$1" "$limit $dir/$1 ${3:-} >$dir/$1.txt 2>&1; status=\$?; cat $dir/$1.txt; [ \$status -eq 0 ] &&
    ! grep -q wrong $dir/$1.txt"
}

# --- what is more than to build and run -----------------------------------------------------------------------------

example_train() { run train examples/train.c $dir/counter.safetensors; }
example_step() { # the model that train saved: after two a's and two b's comes a full stop
  [ -f "$dir/counter.safetensors" ] || example_train || return
  build step examples/step.c || return
  check step "echo '2 0 0 1 1' | $dir/step $dir/counter.safetensors >$dir/step.txt; cat $dir/step.txt
    [ \$(wc -l <$dir/step.txt) -eq 5 ] && tail -n 1 $dir/step.txt | awk '{exit !(\$3 > 0.5)}'"
  check "step says what is wrong" "! $dir/step $dir/step.txt </dev/null 2>$dir/step.err && cat $dir/step.err &&
    [ -s $dir/step.err ]"
}
example_pair() { run pair examples/pair.c; }
example_npcs() { # and a recorded game leads to the same place on every instruction set
  run npcs examples/npcs.c || return
  check "npcs --record" "$dir/npcs --record $dir/npcs.keys | diff tests/examples/npcs.digest - &&
    diff tests/examples/npcs.keys $dir/npcs.keys && echo as recorded"
  for isa in scalar avx2 avx512 neon; do
    said=$("$dir/npcs" --replay tests/examples/npcs.keys --isa $isa 2>&1)
    case $? in
      0) check "npcs --replay --isa $isa" "echo '$said' | diff tests/examples/npcs.digest - && echo '$said'" ;;
      3) ;; # not on this CPU
      *) not_ok "npcs --replay --isa $isa" "$said" ;;
    esac
  done
}
example_raii() { run raii examples/raii.cpp; }
example_audio() {
  run audio examples/audio.c || return
  check "audio says how it is called" "! $dir/audio --help 2>$dir/audio.err && cat $dir/audio.err &&
    grep -q '^usage: ' $dir/audio.err"
}
example_gesture() { # with a driver of its own, which draws on a screen that nobody sees
  [ -f tests/gesture/run.sh ] || { skip gesture "tests/gesture/run.sh is not there"; return; }
  said=$(LSTM=${LSTM:-./lstm} sh tests/gesture/run.sh 2>&1)
  status=$?
  lines=$(printf '%s\n' "$said" | grep -E '^(ok|not ok|skip) ')
  printf '%s\n' "$said" | grep -vE '^[0-9]+ passed, '
  passed=$((passed + $(printf '%s\n' "$lines" | grep -c '^ok ')))
  failed=$((failed + $(printf '%s\n' "$lines" | grep -c '^not ok ')))
  skipped=$((skipped + $(printf '%s\n' "$lines" | grep -c '^skip ')))
  [ $status -eq 0 ] || [ "$failed" -gt 0 ] || not_ok gesture "the driver ended with status $status"
}

for name in $wanted; do
  case $name in
    train | step | pair | npcs | raii | audio | gesture) "example_$name" ;;
    *) run "$name" "examples/$name.c" ;;
  esac
done
[ "$skipped" -eq 0 ] || echo "$skipped skipped"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
