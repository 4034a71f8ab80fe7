# Builds the examples by the lines that their first comment and the README give, and runs them.
set -u
dir=${BUILD:-build}/examples
cc=${CC:-cc}
mkdir -p "$dir"
status=0
check() { # name, command
  if said=$(eval "$2" 2>&1); then echo "ok $1"; else printf 'not ok %s\n%s\n' "$1" "$said"; status=1; fi
}
check "build train" "$cc -O2 -I. examples/train.c -o $dir/train"
check "train learns to count" "$dir/train $dir/counter.safetensors >$dir/train.txt; cat $dir/train.txt
  grep -q '^aaaaaaaabbbbbbbb\.\$' $dir/train.txt && ! grep -q wrong $dir/train.txt"
check "build step" "$cc -O1 -DLSTM_NO_PORTABLE -I. examples/step.c -o $dir/step"
check "step runs it" "echo '2 0 0 1 1' | $dir/step $dir/counter.safetensors >$dir/step.txt; cat $dir/step.txt
  [ \$(wc -l <$dir/step.txt) -eq 5 ] && tail -n 1 $dir/step.txt | awk '{exit !(\$3 > 0.5)}'"
check "step says what is wrong" "! $dir/step $dir/train.txt </dev/null 2>$dir/step.err && [ -s $dir/step.err ]"
check "build pair" "$cc -O1 -DLSTM_NO_PORTABLE -I. examples/pair.c -o $dir/pair"
check "pair writes words backwards" "$dir/pair >$dir/pair.txt; cat $dir/pair.txt
  [ \$(grep -c ' -> ' $dir/pair.txt) -eq 5 ] && ! grep -q wrong $dir/pair.txt"
exit $status
