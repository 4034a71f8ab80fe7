# Plays the gesture game with a real mouse and keyboard on a screen that nobody sees (Xvfb, xdotool): it must name what
# is drawn, learn new gestures, and not forget the old ones. Takes screenshots on the way ($BUILD/gesture/*.png).
# usage: sh tests/gesture/run.sh [c | love]...
# The game of C, and that of Lua in LÖVE 11.
# Prints ok, not ok or skip for each check, and "N passed, N failed" last. Times are shown, never judged.
set -u
: "${BUILD:=build}" "${CC:=cc}"
root=$PWD
dir=$root/$BUILD/gesture
case $BUILD in /*) dir=$BUILD/gesture ;; esac
mkdir -p "$dir"
rm -f "$dir"/*.txt "$dir"/*.png "$dir"/*.safetensors "$dir/display"
passed=0 failed=0
ok() { passed=$((passed + 1)); echo "ok $*"; }
not_ok() { failed=$((failed + 1)); echo "not ok $*"; }
skip() { echo "skip $*"; }
have() { command -v "$1" >/dev/null 2>&1; }
finish() { echo "$passed passed, $failed failed"; [ "$failed" -eq 0 ]; exit; }
for tool in Xvfb xdotool awk; do
  have $tool || { skip "gesture: $tool is not installed"; finish; }
done

# --- a screen, and a game on it ---------------------------------------------------------------------------------------

screen= game= window= out=
end_all() { [ -z "$game" ] || kill "$game" 2>/dev/null; [ -z "$screen" ] || kill "$screen" 2>/dev/null; }
trap end_all EXIT
trap 'exit 1' INT TERM

open_screen() {
  Xvfb -displayfd 3 -screen 0 1024x680x24 3>"$dir/display" >"$dir/xvfb.txt" 2>&1 &
  screen=$!
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do [ -s "$dir/display" ] && break; sleep 0.25; done
  [ -s "$dir/display" ] || { skip "gesture: Xvfb did not start"; finish; }
  DISPLAY=:$(cat "$dir/display")
  SDL_RENDER_DRIVER=software SDL_VIDEODRIVER=x11 SDL_AUDIODRIVER=dummy
  export DISPLAY SDL_RENDER_DRIVER SDL_VIDEODRIVER SDL_AUDIODRIVER
}

# Waits until the game has printed `count` lines that begin with the pattern, at most a minute.
wait_for() { # pattern, count
  tries=0
  until [ "$(grep -c "^$1" "$out")" -ge "${2:-1}" ]; do
    tries=$((tries + 1))
    [ $tries -lt 600 ] && kill -0 "$game" 2>/dev/null || return 1
    sleep 0.1
  done
}

start_game() { # name, command...: the game's output goes to $out
  out=$dir/$1.txt
  : >"$out"
  shift
  "$@" >"$out" 2>&1 &
  game=$!
  window= tries=0
  while [ -z "$window" ] && [ $tries -lt 200 ] && kill -0 "$game" 2>/dev/null; do
    tries=$((tries + 1))
    sleep 0.1
    window=$(xdotool search --onlyvisible --name '^gesture$' 2>/dev/null | tail -n 1)
  done
  [ -n "$window" ] || return 1
  xdotool windowfocus "$window"
  eval "$(xdotool getwindowgeometry --shell "$window" | grep '^[XY]=')"
}

end_game() { # by the key that ends it
  xdotool key Escape
  tries=0
  while kill -0 "$game" 2>/dev/null && [ $tries -lt 100 ]; do tries=$((tries + 1)); sleep 0.1; done
  kill "$game" 2>/dev/null
  wait "$game" 2>/dev/null
  status=$?
  game=
}

# --- a hand -----------------------------------------------------------------------------------------------------------

way() { # shape, size, seed
  awk -v shape="$1" -v x=$((X + 328)) -v y=$((Y + 300)) -v size="$2" -v seed="$3" -v pause=0.002 \
    -f tests/gesture/shapes.awk
}
draw() { way "$@" | xdotool - >/dev/null; }
draw_part() { way "$1" "$2" "$3" | head -n "$4" | xdotool - >/dev/null; } # the button stays down

shot() { # name
  have import || return 0
  sleep 0.4
  import -window "$window" "$dir/$1.png" 2>/dev/null
}

# Draws a gesture and reads how it was named.
expect() { # shape, size, seed, when
  before=$(grep -c '^named ' "$out")
  draw "$1" "$2" "$3"
  wait_for 'named ' $((before + 1))
  said=$(grep '^named ' "$out" | tail -n +$((before + 1)) | tail -n 1)
  case $said in
    "named $1 "*) ok "$title $4: $said" ;;
    *) not_ok "$title $4: a $1 was ${said:-not named}" ;;
  esac
}

teach() { # shape, examples
  xdotool key t
  sleep 0.2
  for i in 1 2 3 4 5; do
    [ "$i" -le "$2" ] || continue
    if [ "$i" = 3 ] && [ "$1" = spiral ]; then
      draw_part "$1" 300 "$seed$i" 80
      shot "$title-teaching"
      xdotool mouseup 1
    else draw "$1" "2${i}0" "$seed$i"; fi
    wait_for "example $i of new $seed"
    sleep 0.1
  done
  [ "$2" -eq 5 ] || xdotool key t
  sleep 0.2
  xdotool type --delay 40 "$1"
  [ "$1" != spiral ] || shot "$title-learning"
  xdotool key Return
  if wait_for "new gesture: $1" && wait_for "learned " "$seed"; then ok "$title $(grep '^learned ' "$out" | tail -n 1)"
  else not_ok "$title: the $1 was not learned: $(tail -n 2 "$out")"; fi
}

old_ones() { # seed, when
  expect circle 240 "$1" "$2"
  expect line 260 "$1" "$2"
  expect zigzag 250 "$1" "$2"
  expect triangle 270 "$1" "$2"
}

# The same session for each game: name, learn, name, end; and begin again with the model that was kept.
session() { # title, command...
  title=$1 seed=1
  shift
  start_game "$title" "$@" --model "$dir/$title.safetensors" ||
    { not_ok "$title: no window: $(tail -n 3 "$out")"; return; }
  wait_for ready || not_ok "$title: not ready: $(tail -n 3 "$out")"
  shot "$title-start"
  old_ones 1 "at first"
  draw_part triangle 300 5 52
  shot "$title-drawing"
  xdotool mouseup 1
  teach spiral 5
  expect spiral 290 31 "afterwards"
  shot "$title-after"
  old_ones 2 "afterwards"
  seed=2
  teach square 3
  expect square 250 31 "with two new ones"
  expect spiral 250 32 "with two new ones"
  [ "$title" = love ] || old_ones 3 "with two new ones"
  end_game
  [ $status -eq 0 ] && ok "$title $(tail -n 1 "$out")" || not_ok "$title ended with $status: $(tail -n 3 "$out")"
  start_game "$title-again" "$@" --model "$dir/$title.safetensors" || { not_ok "$title: no second window"; return; }
  wait_for ready
  expect spiral 270 41 "from the file"
  expect circle 230 41 "from the file"
  end_game
  shots=$(ls "$dir/$title"-*.png 2>/dev/null | wc -l)
  have import && { [ "$shots" -eq 5 ] && ok "$title: $shots screenshots" || not_ok "$title: $shots screenshots"; }
}

# --- the two games ----------------------------------------------------------------------------------------------------

play_c() {
  have pkg-config && pkg-config --exists sdl2 || { skip "gesture: SDL2 is not installed"; return; }
  line=$(sed -n 's,^ *\(cc -O2 .*\) -o gesture$,\1,p' examples/gesture/gesture.c | sed "s,^cc ,$CC ,")
  eval "$line -o $dir/gesture" >"$dir/build.txt" 2>&1 || { not_ok "gesture: $line: $(head "$dir/build.txt")"; return; }
  "$dir/gesture" --help | grep -q '^usage: gesture' && ok "gesture --help" || not_ok "gesture --help"
  "$dir/gesture" --hlep >/dev/null 2>&1
  [ $? -eq 2 ] && ok "gesture --hlep is refused" || not_ok "gesture --hlep is not refused"
  session gesture "$dir/gesture"
  grep -q 'allocated 0 times' "$dir/gesture-again.txt" && ok "gesture: nothing was allocated while it ran" ||
    not_ok "gesture: $(tail -n 1 "$dir/gesture-again.txt")"
}

play_love() {
  have love || { skip "love: LÖVE is not installed"; return; }
  if ! make module LUA=luajit BUILD="$BUILD" >"$dir/module.txt" 2>&1; then
    skip "love: make module LUA=luajit: $(tail -n 1 "$dir/module.txt")"
    return
  fi
  LUA_CPATH="$BUILD/luajit/?.so;;"
  export LUA_CPATH
  session love love examples/gesture/love
}

open_screen
for which in ${*:-c love}; do play_$which; done
finish
