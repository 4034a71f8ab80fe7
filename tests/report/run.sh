#!/bin/sh
# The pages of lstm.report in a real browser. Says why where there is none. LSTM: the host, BUILD: where pages go.
set -eu
LSTM=${LSTM:-./lstm}
folder=${BUILD:-build}/report
for browser in ${CHROMIUM:-} chromium chromium-browser google-chrome; do
  command -v "$browser" > /dev/null 2>&1 && break
  browser=
done
if [ -z "${browser:-}" ]; then
  echo "report-test skipped: there is no Chromium (chromium, chromium-browser or google-chrome, or CHROMIUM=PROGRAM)"
  exit 0
fi
if ! command -v node > /dev/null 2>&1; then
  echo "report-test skipped: node is not installed"
  exit 0
fi
rm -rf "$folder"
mkdir -p "$folder"
"$LSTM" tests/report/make.lua "$folder"
"$LSTM" tests/report/pictures.lua "$folder"
CHROMIUM=$browser node tests/report/report.js "$folder"
rm -rf "$folder/profile"
