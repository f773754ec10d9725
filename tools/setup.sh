#!/usr/bin/env bash
# Installs what SSDQ needs (Debian packages, only the missing ones) and builds the release preset.
# Sourced by quickstart.sh and run_tests.sh; can be run on its own.
set -euo pipefail

ssdq_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

ssdq_packages=(
  build-essential cmake ninja-build ccache mold
  libtorch-dev libgloo-dev libopenblas0-pthread libopencv-dev libturbojpeg0-dev
  libyaml-cpp-dev libfmt-dev libtbb-dev libpugixml-dev nlohmann-json3-dev
  libboost-dev libboost-program-options-dev libgtest-dev libgmock-dev libbenchmark-dev
)

ssdq_say() { printf '\n==> %s\n' "$*"; }

# Installs the packages named that are not there yet.
ssdq_install() {
  local missing=() package
  for package; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  local as_root=()
  if ((EUID != 0)); then
    command -v sudo >/dev/null || {
      echo "setup: these packages are missing and installing them takes root or sudo: ${missing[*]}" >&2
      exit 1
    }
    as_root=(sudo)
  fi
  ssdq_say "Installing ${missing[*]}"
  local log
  log=$(mktemp)
  if ! { "${as_root[@]}" apt-get update -qq &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "setup: apt-get could not install the packages; the lines above say why" >&2
    exit 1
  fi
  rm -f "$log"
}

# Configures and builds the release preset; does next to nothing when all is built.
ssdq_build() {
  cd "$ssdq_root"
  if [[ ! -f build/release/build.ninja ]]; then
    ssdq_say "Configuring"
    cmake --preset release "$@"
  fi
  ssdq_say "Building (the first time takes minutes)"
  cmake --build --preset release
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  ssdq_install "${ssdq_packages[@]}"
  ssdq_build
fi
