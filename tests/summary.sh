# Prints the output of failed tests, the reasons of skipped ones, and the sum: "N passed, N failed".
# usage: sh tests/summary.sh DIRECTORY NAME...   A NAME without a result did not even build: one failure.
directory=$1
shift
passed=0 failed=0
for name in "$@"; do
  file=$directory/$name.txt
  if ! [ -f "$file" ]; then
    echo "--- $name: was not built or not run, see above"
    failed=$((failed + 1))
    continue
  fi
  set -- $(tail -n 1 "$file")
  passed=$((passed + $3)) failed=$((failed + $4))
  if [ "$4" -gt 0 ]; then
    echo "--- $name"
    grep -v '^result ' "$file" | tail -n 200
  elif [ "$5" -gt 0 ]; then
    grep -iE '^skip|skip: |skipped: |skip\(|# *skip' "$file" | sed "s/^/skipped in $name: /" | head -n 20
  fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
