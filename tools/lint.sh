#!/usr/bin/env bash
set -euo pipefail
usage() {
  cat <<'TEXT'
usage: tools/lint.sh [--help] [--fix] [--tidy [FILE...]]

Checks the formatting of every source file with clang-format (--fix: rewrites them). With --tidy it also
runs clang-tidy on FILEs, or on all sources; this needs the release build's compile commands.
TEXT
}
cd "$(dirname "$0")/.."
fix=0 tidy=0 files=()
for argument; do
  case $argument in
    -h | --help) usage; exit 0 ;;
    --fix) fix=1 ;;
    --tidy) tidy=1 ;;
    -*) usage >&2; exit 2 ;;
    *) files+=("$argument") ;;
  esac
done
mapfile -t sources < <(git ls-files '*.h' '*.cpp')
if ((fix)); then
  clang-format -i "${sources[@]}"
else
  clang-format --dry-run -Werror "${sources[@]}"
fi
if ((tidy)); then
  ((${#files[@]})) || mapfile -t files < <(git ls-files 'ssdq/*.cpp' 'tools/*.cpp')
  # The compile commands name GCC's precompiled header, which clang cannot read.
  commands=$(mktemp -d)
  trap 'rm -rf "$commands"' EXIT
  sed -E 's/-include [^ ]*cmake_pch\.hxx//g; s/-fpch-preprocess//g; s/-Winvalid-pch//g' build/release/compile_commands.json \
    >"$commands/compile_commands.json"
  printf '%s\n' "${files[@]}" | xargs -P "$(nproc)" -n 1 clang-tidy --quiet -p "$commands"
fi
