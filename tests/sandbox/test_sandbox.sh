# Scripts that attack the sandbox, of lstm --sandbox and of a program that embeds lstm: the table of what stopped each.
# LSTM, BUILD: the host, where to build. ATTACK="part of a name": only those.
build=${BUILD:-build}
folder=$(cd "$build" && pwd -P)/tests/attacks
rm -rf "$folder"
mkdir -p "$folder"
exec "${LSTM:-./lstm}" tests/sandbox/run.lua "$folder" "${LSTM:-./lstm}" "$build/tests/sandbox_embed"
