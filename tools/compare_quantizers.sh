#!/usr/bin/env bash
set -euo pipefail
usage() {
  cat <<'TEXT'
usage: tools/compare_quantizers.sh [--help] [--config FILE] [--out DIR] [ROW...] [-- KEY VALUE ...]

Fine-tunes one detector with several quantization methods, each from the same float weights for the same
number of steps, and prints their metrics as a table. A ROW is TYPE:WBITS/ABITS, such as lsq:4/4 or
none:32/32 (the float network trained on); without rows all methods run at 8/8, 4/4 and their lowest
widths. A row whose OUTPUT_DIR (DIR/TYPE_wX_aY) holds a finished run is not trained again. KEY VALUE pairs
go to every run.
TEXT
}
cd "$(dirname "$0")/.."
config=configs/vgg_mini_ssd300_bccd_quan_w8a8.yaml out=outputs/compare rows=() overrides=()
while (($#)); do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --config) config=$2; shift 2 ;;
    --out) out=$2; shift 2 ;;
    --) shift; overrides=("$@"); break ;;
    *:*/*) rows+=("$1"); shift ;;
    *) usage >&2; exit 2 ;;
  esac
done
if ((!${#rows[@]})); then
  rows=(none:32/32 dorefa:8/8 uniform:8/8 iao:8/8 lsq:8/8 lsq_plus:8/8 pact:8/8 tqt:8/8 lqnet:8/8
    dorefa:4/4 uniform:4/4 iao:4/4 lsq:4/4 lsq_plus:4/4 pact:4/4 tqt:4/4 lqnet:4/4
    dorefa:2/2 pact:2/2 lsq:2/2 lsq_plus:2/2 lqnet:2/2 bwn:3/32 bwn:2/32 bwn:2/2)
fi
echo "| method | W/A | mAP@.5 | seconds |"
echo "|---|---|---|---|"
for row in "${rows[@]}"; do
  type=${row%%:*} widths=${row##*:}
  w=${widths%/*} a=${widths#*/} dir=$out/${type}_w${widths%/*}_a${widths#*/}
  if [[ ! -f $dir/model_final.safetensors ]]; then
    start=$SECONDS
    ${SSDQ_BIN:-build/release/bin}/train_net --config-file "$config" QUANTIZATION.TYPE "$type" QUANTIZATION.WBITS "$w" \
      QUANTIZATION.ABITS "$a" OUTPUT_DIR "$dir" "${overrides[@]}" >"$out.log" 2>&1 || { cat "$out.log" >&2; exit 1; }
    echo $((SECONDS - start)) >"$dir/seconds"
  fi
  map=$(grep -o '"eval/mAP": *[0-9.e-]*' "$dir/metrics.jsonl" | tail -n 1 | grep -o '[0-9.e-]*$' || echo "?")
  printf '| %s | %s | %.4f | %s |\n' "$type" "$w/$a" "$map" "$(cat "$dir/seconds")"
done
