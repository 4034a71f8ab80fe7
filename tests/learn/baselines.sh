#!/bin/sh
# usage: sh tests/learn/baselines.sh [--quick] [--markdown] [TASK...]
# Known recipes on real data by the scripts, three seeds each: mean and sample deviation, beside what PyTorch reaches
# with the same recipe (measured once, see the table). LSTM names the host, LSTM_DATA the folder of the data, which is
# not part of the project; what is not there is skipped. --quick: one seed and a tenth of the training, to see that all
# of it runs.
# Tasks: 1 2 3 4 4b 7 8 9 10; all of them where none is named. Exit code 1: a task failed to run.
lstm=${LSTM:-./lstm}
data=${LSTM_DATA:-../shared/data}
quick= markdown= wanted= failed=0
while [ $# -gt 0 ]; do
  case $1 in
    --quick) quick=1 ;;
    --markdown) markdown=1 ;;
    [0-9]*) wanted="$wanted $1" ;;
    *) echo "baselines.sh: unknown option $1" >&2; exit 2 ;;
  esac
  shift
done
out=$(mktemp "${TMPDIR:-/tmp}/baselines.XXXXXX") || exit 1
trap 'rm -f "$out"' EXIT
trap 'exit 130' INT TERM

is_wanted() {
  [ -z "$wanted" ] && return 0
  for one in $wanted; do [ "$one" = "$1" ] && return 0; done
  return 1
}

# The numbers of the seeds -> a line of the table. usage: line TASK WHAT UNIT MEAN DEVIATION BETTER SECONDS NUMBER...
line() {
  awk -v task="$1" -v what="$2" -v unit="$3" -v ref="$4" -v dev="$5" -v better="$6" -v seconds="$7" -v numbers="$8" \
    -v quick="$quick" -v markdown="$markdown" '
    BEGIN {
      n = split(numbers, x, " ")
      for (i = 1; i <= n; i++) mean += x[i] / n
      for (i = 1; i <= n; i++) sum += (x[i] - mean) ^ 2
      sd = n > 1 ? sqrt(sum / (n - 1)) : 0
      away = (mean - ref) / dev
      if (better == "less") good = -away; else good = away
      verdict = quick ? "quick" : good >= 0 ? "as good or better" : good >= -3 ? "within 3" : "NO"
      digits = ref < 10 ? 3 : 1
      mine = sprintf("%.*f +- %.*f", digits, mean, digits, sd)
      theirs = sprintf("%.*f +- %.*f", digits, ref, digits, dev)
      if (markdown) printf "| %s | %s | %s | %s | %s | %+.1f | %s |\n", task, what, unit, mine, theirs, away, verdict
      else printf "%-4s%-34s%-16s%-17s%-17s%+6.1f  %-18s%5d s  %s\n", task, what, unit, mine, theirs, away, verdict,
        seconds, numbers
    }'
}

# usage: task NUMBER WHAT UNIT MEAN DEVIATION less|more PATTERN FILES "SHORT OPTIONS" SCRIPT ARGUMENTS...
# PATTERN: what stands before the number in the last line of stdout; FILES must be there.
task() {
  number=$1 what=$2 unit=$3 mean=$4 deviation=$5 better=$6 pattern=$7 files=$8 short=$9
  shift 9
  is_wanted "$number" || return 0
  for file in $files; do
    if [ ! -e "$file" ]; then
      echo "$number: skipped, $file is not there (LSTM_DATA names the folder of the data)"
      return 0
    fi
  done
  seeds="1 2 3" numbers= begun=$(date +%s)
  [ -n "$quick" ] && seeds=1 || short=
  for seed in $seeds; do
    # shellcheck disable=SC2086 # the short options are several words
    if ! "$lstm" "$@" --verbose 0 --seed "$seed" $short >"$out"; then
      echo "$number: lstm $* failed"
      failed=1
      return 0
    fi
    numbers="$numbers $(tail -n 1 "$out" | sed -n "s/.*$pattern \([0-9.]*\).*/\1/p")"
  done
  line "$number" "$what" "$unit" "$mean" "$deviation" "$better" $(($(date +%s) - begun)) "$numbers"
}

if [ -n "$markdown" ]; then
  echo "| task | what | figure | lstm | PyTorch | in its deviations | within three |"
  echo "|---|---|---|---|---|---|---|"
else
  printf '%-4s%-34s%-16s%-17s%-17s%6s  %-18s%7s  %s\n' "" task figure lstm PyTorch away "within 3?" time seeds
fi

text=$data/text/tinyshakespeare.txt
vowels=$data/vowels/JapaneseVowels
temperatures=examples/data/daily-min-temperatures.csv
airline=$data/series/airline-passengers.csv
reviews=$data/sentiment/rt-polarity
tags=$data/tagging/en_ewt

task 1 "characters, embedding 64" "val nats/char" 1.686 .003 less validation "$text" "--steps 200" \
  scripts/chars.lua "$text" --init pytorch --steps 2000 --sample 0
task 2 "characters, one-hot" "val nats/char" 1.840 .005 less validation "$text" "--steps 200" \
  scripts/chars.lua "$text" --init pytorch --steps 2000 --sample 0 --embed 0
task 3 "temperatures, look back 10" "test RMSE" 2.237 .026 less "test RMSE" "$temperatures" "--epochs 5" \
  scripts/forecast.lua "$temperatures" --init pytorch --epochs 50
task 4 "speakers by vowels" "test accuracy %" 93.5 .8 more "test accuracy" "${vowels}_TRAIN.ts" "--epochs 10" \
  scripts/classify.lua "${vowels}_TRAIN.ts" "${vowels}_TEST.ts" --scale none --hidden 100 --lr 1e-3 --batch 27 \
  --clip 1 --epochs 100 --init pytorch
task 4b "the same, bidirectional" "test accuracy %" 96.6 1.7 more "test accuracy" "${vowels}_TRAIN.ts" "--epochs 10" \
  scripts/classify.lua "${vowels}_TRAIN.ts" "${vowels}_TEST.ts" --scale none --hidden 100 --lr 1e-3 --batch 27 \
  --clip 1 --epochs 100 --init pytorch --bidirectional
task 7 "airline passengers, look back 1" "test RMSE" 48.93 .73 less "test RMSE" "$airline" "--epochs 10" \
  scripts/forecast.lua "$airline" --hidden 4 --look-back 1 --batch 1 --epochs 100 --scale-all --test 0.33 \
  --epsilon 1e-7
task 8 "surnames, 18 languages" "test accuracy %" 79.4 .3 more "test accuracy" "$data/names" "--epochs 1" \
  scripts/classify.lua "$data/names" --hidden 128 --lr 2e-3 --batch 64 --clip 5 --epochs 10 --init pytorch
# The second of the ten folds: naive Bayes is right about 78.4 % of it, as about PyTorch's part.
task 9 "sentences, praise or blame" "test accuracy %" 76.4 .3 more "test accuracy" "$reviews.pos" "--epochs 1" \
  scripts/sentiment.lua "$reviews.pos" "$reviews.neg" --fold 2
task 10 "tags of words" "dev accuracy %" 90.2 .1 more "test accuracy" "${tags}_train.form_upos.tsv" "--epochs 1" \
  scripts/tag.lua "${tags}_train.form_upos.tsv" "${tags}_dev.form_upos.tsv"
exit $failed
