#!/usr/bin/env bash
# Downloads PASCAL VOC 2007 and 2012 into the layout that SSDQ reads. See --help.
set -euo pipefail

program=$(basename "$0")
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=fetch.sh
source "$here/fetch.sh"

root=${VOC_ROOT:-$here/VOCdevkit}
mirror=http://host.robots.ox.ac.uk/pascal/VOC
is_flat=0
use_checksum=1
keep=0
parts=()

usage() {
  cat <<EOF
Downloads PASCAL VOC and lays it out as ROOT/VOC2007 and ROOT/VOC2012.

Usage: $program [options] [PART...]
Parts (default: all, 2.8 GB):
  2007-trainval   voc_2007_train, _val, _trainval (460 MB)
  2007-test       voc_2007_test (451 MB)
  2012-trainval   voc_2012_train, _val, _trainval (2.0 GB)
Options:
  --root DIR      where to (default: VOC_ROOT, else VOCdevkit beside this script)
  --mirror URL    folder that holds the archives, instead of the official server
  --no-checksum   do not compare MD5 sums
  --keep          keep the archives in ROOT/downloads
  -h, --help      print this
A download that was broken off goes on where it stopped when run again.
EOF
}

while (($#)); do
  case $1 in
    --root | --mirror)
      (($# > 1)) || die "$1 needs a value; see --help" 2
      if [[ $1 == --root ]]; then root=$2; else mirror=${2%/} is_flat=1; fi
      shift
      ;;
    --no-checksum) use_checksum=0 ;;
    --keep) keep=1 ;;
    -h | --help)
      usage
      exit 0
      ;;
    2007-trainval | 2007-test | 2012-trainval) parts+=("$1") ;;
    -*) die "unknown option $1; see --help" 2 ;;
    *) die "unknown part '$1'; parts are 2007-trainval, 2007-test, 2012-trainval" 2 ;;
  esac
  shift
done
((${#parts[@]})) || parts=(2007-trainval 2007-test 2012-trainval)

# get PART: downloads and unpacks one archive, unless that was done before.
get() {
  local part=$1 folder archive md5 mark
  case $part in
    2007-trainval)
      folder=voc2007 archive=VOCtrainval_06-Nov-2007.tar md5=c52e279531787c972589f7e41ab4ae64
      ;;
    2007-test)
      folder=voc2007 archive=VOCtest_06-Nov-2007.tar md5=b6e924de25625d8de591ea690078ad9f
      ;;
    2012-trainval)
      folder=voc2012 archive=VOCtrainval_11-May-2012.tar md5=6cd6e144f989b92b3379bac3b3de84fd
      ;;
  esac
  mark=$root/.complete-$part
  if [[ -f $mark ]]; then
    printf '%s is already there\n' "$part"
    return
  fi
  ((use_checksum)) || md5=-
  ((is_flat)) && folder=
  fetch "$mirror${folder:+/$folder}/$archive" "$root/downloads/$archive" "$md5"
  printf 'unpacking %s\n' "$archive"
  tar -xf "$root/downloads/$archive" -C "$root" --strip-components=1 ||
    die "$root/downloads/$archive could not be unpacked into $root"
  : >"$mark"
  ((keep)) || rm -f "$root/downloads/$archive"
}

for part in "${parts[@]}"; do
  get "$part"
done
rmdir "$root/downloads" 2>/dev/null || true
printf 'VOC_ROOT=%s\n' "$root"
