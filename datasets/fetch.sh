# Shared by get_voc.sh and get_coco.sh, which source it after setting `program`.
# shellcheck shell=bash

: "${program:?set by the script that sources this}"

die() {
  printf '%s: %s\n' "$program" "$1" >&2
  exit "${2:-1}"
}

# fetch URL FILE MD5: downloads to FILE, going on where an earlier run stopped, and checks it.
# MD5 may be "-" for none.
fetch() {
  local url=$1 file=$2 md5=$3 part=$2.part found
  mkdir -p "$(dirname "$file")" || die "cannot create the folder of $file"
  if [[ ! -f $file ]]; then
    printf 'fetching %s\n' "$url"
    if command -v curl >/dev/null; then
      curl --fail --location --retry 5 --continue-at - --progress-bar --output "$part" "$url" ||
        die "could not download $url; run again to go on where it stopped"
    elif command -v wget >/dev/null; then
      wget --continue --tries=5 --output-document="$part" "$url" ||
        die "could not download $url; run again to go on where it stopped"
    else
      die "needs curl or wget: apt-get install curl"
    fi
    if [[ $md5 != - ]]; then
      found=$(md5sum "$part" | cut -d ' ' -f 1)
      if [[ $found != "$md5" ]]; then
        rm -f "$part"
        die "$url has MD5 $found, expected $md5; it was removed, run again"
      fi
    fi
    mv "$part" "$file"
  fi
}

# unzip_to FILE FOLDER
unzip_to() {
  if command -v unzip >/dev/null; then
    unzip -q -o "$1" -d "$2"
  elif command -v python3 >/dev/null; then
    python3 -m zipfile -e "$1" "$2"
  else
    die "needs unzip: apt-get install unzip"
  fi || die "$1 could not be unpacked into $2"
}
