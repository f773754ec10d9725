#!/usr/bin/env bash
set -euo pipefail
usage() {
  cat <<'TEXT'
usage: tools/run_tests.sh [--help] [--no-onnxruntime] [CTEST ARGUMENTS...]

Installs what is missing (Debian packages, as root or with sudo), builds everything and runs every
test. Further arguments go to ctest: `tools/run_tests.sh -R graph` runs the tests of one folder.

Exported ONNX models are checked by Python's onnx and run by ONNX Runtime, an npm package (290 MB)
that the test puts beside the build. For them this script installs python3-onnx, and nodejs and npm
where there is no npm (about 360 small packages, 29 MB). What cannot be had is skipped, as all of
it is with --no-onnxruntime.
TEXT
}
with_onnxruntime=1
case ${1:-} in
-h | --help) usage; exit 0 ;;
--no-onnxruntime) with_onnxruntime=0; shift ;;
esac

. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
ssdq_install "${ssdq_packages[@]}"
if ((with_onnxruntime)); then
  packages=(python3-onnx)
  command -v npm >/dev/null || packages+=(nodejs npm)
  # In a shell of its own: a failure ends only that.
  (ssdq_install "${packages[@]}") ||
    echo "run_tests: going on without ${packages[*]}; tests that need them are skipped" >&2
else
  export SSDQ_NO_ONNXRUNTIME=1
fi
ssdq_build
ssdq_say "Testing"
ctest --preset release "$@"
