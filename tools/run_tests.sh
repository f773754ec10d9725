#!/usr/bin/env bash
set -euo pipefail
usage() {
  cat <<'TEXT'
usage: tools/run_tests.sh [--help] [CTEST ARGUMENTS...]

Installs what is missing (Debian packages, as root or with sudo), builds everything and runs every
test. Further arguments go to ctest: `tools/run_tests.sh -R graph` runs the tests of one folder.
TEXT
}
case ${1:-} in -h | --help) usage; exit 0 ;; esac

. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
ssdq_install "${ssdq_packages[@]}"
ssdq_build
ssdq_say "Testing"
ctest --preset release "$@"
