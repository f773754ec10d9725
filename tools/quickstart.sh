#!/usr/bin/env bash
set -euo pipefail
usage() {
  cat <<'TEXT'
usage: tools/quickstart.sh [--help] [KEY VALUE ...]

From nothing to a quantized detector: installs what is missing (Debian packages, as root or with
sudo), builds SSDQ, evaluates the shipped float detector of blood cells, fine-tunes it with 8-bit weights and
activations, evaluates again and draws its detections. KEY VALUE pairs override the configuration,
for example `SOLVER.MAX_ITER 100`. Results go to outputs/quickstart.
TEXT
}
case ${1:-} in -h | --help) usage; exit 0 ;; esac

. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
ssdq_install "${ssdq_packages[@]}"
ssdq_build

out=$ssdq_root/outputs/quickstart
bin=$ssdq_root/build/release/bin
mkdir -p "$out"
started=$SECONDS

ssdq_say "Evaluating the float detector"
"$bin/train_net" --config-file configs/vgg_mini_ssd300_bccd.yaml --eval-only \
  MODEL.WEIGHTS datasets/bccd/vgg_mini_ssd300_bccd.safetensors OUTPUT_DIR "$out/float"

ssdq_say "Fine-tuning it with 8-bit weights and activations"
"$bin/train_net" --config-file configs/vgg_mini_ssd300_bccd_quan_w8a8.yaml OUTPUT_DIR "$out/w8a8" "$@"

ssdq_say "Drawing detections on the test images"
list=$(mktemp)
trap 'rm -f "$list"' EXIT
head -n 12 datasets/bccd/ImageSets/Main/test.txt | sed 's|.*|datasets/bccd/JPEGImages/&.jpg|' >"$list"
xargs "$bin/demo" --config-file "$out/w8a8/config.yaml" --weights "$out/w8a8/model_final.safetensors" \
  --score-threshold 0.5 --output "$out/pictures" <"$list"

# The metric of the last evaluation in a metrics.jsonl.
map_of() { grep -o '"eval/mAP": *[0-9.eE+-]*' "$1" | tail -n 1 | sed 's/.*: *//' | xargs printf '%.4f'; }
cat <<TEXT

Done in $((SECONDS - started)) s.
  mAP@0.5 (VOC, area) float   $(map_of "$out/float/metrics.jsonl")
  mAP@0.5 (VOC, area) W8A8    $(map_of "$out/w8a8/metrics.jsonl")
  pictures    $out/pictures
  log         $out/w8a8/log.txt
  checkpoint  $out/w8a8/model_final.safetensors
TEXT
