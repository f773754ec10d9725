#!/usr/bin/env bash
# Downloads COCO 2017 and 2014 into the layout that SSDQ reads. See --help.
set -euo pipefail

program=$(basename "$0")
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=fetch.sh
source "$here/fetch.sh"

root=${COCO_ROOT:-$here/coco}
mirror=http://images.cocodataset.org
use_checksum=1
keep=0
parts=()

usage() {
  cat <<EOF
Downloads COCO and lays it out as ROOT/{train2017,val2017,annotations}.

Usage: $program [options] [PART...]
Parts (default: the three of 2017, 20 GB):
  2017-train  2017-val  2017-annotations
  2014-train  2014-val  2014-annotations
Options:
  --root DIR      where to (default: COCO_ROOT, else coco beside this script)
  --mirror URL    server to use instead of the official one: URL/zips, URL/annotations
  --no-checksum   do not compare MD5 sums
  --keep          keep the archives in ROOT/downloads
  -h, --help      print this
A download that was broken off goes on where it stopped when run again. The lists minival2014 and
valminusminival2014 are not COCO's own: put their json files into ROOT/annotations yourself.
EOF
}

while (($#)); do
  case $1 in
    --root | --mirror)
      (($# > 1)) || die "$1 needs a value; see --help" 2
      if [[ $1 == --root ]]; then root=$2; else mirror=${2%/}; fi
      shift
      ;;
    --no-checksum) use_checksum=0 ;;
    --keep) keep=1 ;;
    -h | --help)
      usage
      exit 0
      ;;
    2017-train | 2017-val | 2017-annotations | 2014-train | 2014-val | 2014-annotations)
      parts+=("$1")
      ;;
    -*) die "unknown option $1; see --help" 2 ;;
    *) die "unknown part '$1'; parts are {2017,2014}-{train,val,annotations}" 2 ;;
  esac
  shift
done
((${#parts[@]})) || parts=(2017-train 2017-val 2017-annotations)

# get PART: downloads and unpacks one archive, unless that was done before.
get() {
  local part=$1 archive md5 mark
  case $part in
    2017-train) archive=zips/train2017.zip md5=cced6f7f71b7629ddf16f17bbcfab6b2 ;;
    2017-val) archive=zips/val2017.zip md5=442b8da7639aecaf257c1dceb8ba8c80 ;;
    2017-annotations)
      archive=annotations/annotations_trainval2017.zip md5=f4bbac642086de4f52a3fdda2de5fa2c
      ;;
    2014-train) archive=zips/train2014.zip md5=0da8c0bd3d6becc4dcb32757491aca88 ;;
    2014-val) archive=zips/val2014.zip md5=a3d79f5ed8d289b7a7554ce06a5782b3 ;;
    2014-annotations)
      archive=annotations/annotations_trainval2014.zip md5=0a379cfc70b0e71301e0f377548639bd
      ;;
  esac
  mark=$root/.complete-$part
  if [[ -f $mark ]]; then
    printf '%s is already there\n' "$part"
    return
  fi
  ((use_checksum)) || md5=-
  local file=$root/downloads/${archive##*/}
  fetch "$mirror/$archive" "$file" "$md5"
  printf 'unpacking %s\n' "${archive##*/}"
  unzip_to "$file" "$root"
  : >"$mark"
  ((keep)) || rm -f "$file"
}

for part in "${parts[@]}"; do
  get "$part"
done
rmdir "$root/downloads" 2>/dev/null || true
printf 'COCO_ROOT=%s\n' "$root"
