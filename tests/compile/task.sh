# Runs one task of check.sh, a file with a name in its first line and a command in the others: prints "ok name", or
# "not ok name" and what the command said. What the processors needed (user, system) goes to a file beside the folder.
name=$(head -n 1 "$1")
if said=$(tail -n +2 "$1" | sh 2>&1); then echo "ok $name"; else printf 'not ok %s\n%s\n' "$name" "$said"; fi
times >"$1.time"
tail -n 1 "$1.time" | sed "s|\$| $name|" >>"${1%/*}.times"
