# Runs one test program and keeps what it says.
# usage: sh tests/run.sh NAME RESULT COMMAND...
# RESULT gets the output; its last line is "result NAME passed failed skipped". A crash, a time-out or an exit status
# that the counted failures do not explain is one more failure. Always exits 0: the summary decides.
name=$1 result=$2
shift 2
limit=
if command -v timeout >/dev/null 2>&1; then limit="timeout ${TEST_TIMEOUT:-300}"; fi
start=$(date +%s)
$limit "$@" >"$result" 2>&1
status=$?
seconds=$(($(date +%s) - start))
awk -v name="$name" -v status="$status" '
  # cmocka: every test begins with RUN and ends with OK, FAILED or SKIPPED
  /^\[ RUN      \] /   { if (current != "") failed++; current = $4; next }
  /^\[       OK \] /   { if (current != "") passed++; current = ""; next }
  /^\[  SKIPPED \] /   { if (current != "") skipped++; current = ""; next }
  /^\[  FAILED  \] /   { if (current != "") failed++; current = ""; next }
  # shell tests and the replay of the fuzzing corpus
  /^ok /               { passed++; next }
  /^not ok /           { failed++; next }
  /^skip /             { skipped++; next }
  # luaunit: "Ran 3 tests in 0.000 seconds, 1 success, 1 failure, 1 error, 1 skipped"
  /^Ran [0-9]+ tests? in / {
    summary = 1
    for (i = 1; i < NF; i++) {
      if ($(i + 1) ~ /^success/) passed += $i
      if ($(i + 1) ~ /^(failure|error)/) failed += $i
      if ($(i + 1) ~ /^skipped/) skipped += $i
    }
  }
  END {
    if (current != "") { failed++; print "stopped in the middle of " current }
    if (status != 0 && failed == 0) { failed = 1; print "exit status " status }
    if (status == 0 && passed + failed + skipped == 0) { failed = 1; print "no test was counted" }
    printf "result %s %d %d %d\n", name, passed, failed, skipped
  }' "$result" >"$result.end"
cat "$result.end" >>"$result"
rm -f "$result.end"
set -- $(tail -n 1 "$result")
printf '%-28s %4d passed' "$name" "$3"
[ "$4" -gt 0 ] && printf ', %d FAILED' "$4"
[ "$5" -gt 0 ] && printf ', %d skipped' "$5"
[ "$seconds" -gt 1 ] && printf '  (%d s)' "$seconds"
echo
exit 0
