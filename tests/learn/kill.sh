# Kills training runs at random moments, resumes them, and compares the end with that of a run that was left alone:
# weights, history but its seconds, samples, bit for bit. tests/lua/resume.lua is the short form.
# Each of a text run, one on shuffled windows and an encoder-decoder is killed so often:
# usage: sh tests/learn/kill.sh [KILLS (20) [SEED]]
kills=${1:-20} seed=${2:-$$}
lstm=${LSTM:-./lstm}
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
HIDDEN=48
export HIDDEN
steps=1500 failed=0

# A random number of milliseconds below $1, as seconds.
moment() {
  seed=$(awk -v s="$seed" 'BEGIN { printf "%d", (s * 16807) % 2147483647 }')
  awk -v s="$seed" -v m="$1" 'BEGIN { printf "%.3f", s % m / 1000 }'
}

# Milliseconds.
now() { "$lstm" -e 'print(math.floor(require "lstm.core".now() * 1000))'; }

for kind in text windows pair; do
  mkdir "$folder/$kind.whole" "$folder/$kind.killed"
  start=$(now)
  "$lstm" tests/learn/resumed.lua $kind "$folder/$kind.whole" $steps || exit 1
  whole=$(($(now) - start))
  echo "$kind: the run takes $whole ms when it is left alone"
  done=0
  while [ $done -lt "$kills" ]; do
    "$lstm" tests/learn/resumed.lua $kind "$folder/$kind.killed" $steps 2>"$folder/err" &
    pid=$!
    sleep "$(moment $((whole / kills + 20)))"
    kill -KILL $pid 2>/dev/null
    wait $pid 2>/dev/null
    [ -f "$folder/$kind.killed/result" ] && break
    done=$((done + 1))
    if [ -f "$folder/$kind.killed/history.csv" ]; then
      row=$(tail -n 1 "$folder/$kind.killed/history.csv" | cut -d, -f2)
    else
      row=nothing
    fi
    echo "$kind: kill $done, the history stood at step $row"
  done
  [ -f "$folder/$kind.killed/result" ] ||
    "$lstm" tests/learn/resumed.lua $kind "$folder/$kind.killed" $steps || exit 1
  samples=same
  awk -F '\t' 'NR == FNR { want[$1] = $2; next } want[$1] != $2 { bad = 1 } END { exit bad }' \
    "$folder/$kind.whole/samples" "$folder/$kind.killed/samples" || samples=different
  if [ $samples = same ] && cmp "$folder/$kind.whole/result" "$folder/$kind.killed/result"; then
    echo "ok $kind: equal bit for bit after $done kills"
  else
    echo "not ok $kind: after $done kills (samples: $samples)"
    failed=1
  fi
done
exit $failed
