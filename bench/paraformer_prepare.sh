#!/usr/bin/env bash
# paraformer_prepare.sh FOLDER - makes what bench_paraformer wants in FOLDER, about 4 GB; what is there stays.
#
#   streaming offline seaco vad punc   models of true size with random weights
#   ort                                ONNX Runtime for node (its CPU part alone) and the graph that it runs
# RANDOM_PARAFORMER names the program that makes the models.
set -euo pipefail

ORT=1.30.0
here=$(cd "$(dirname "$0")" && pwd)
dir=$1
mkdir -p "$dir/ort"

for kind in streaming offline seaco vad punc; do
    if [ ! -e "$dir/$kind/config.yaml" ]; then
        rm -rf "${dir:?}/$kind.part"
        "${RANDOM_PARAFORMER:-$here/../build-bench/bench/random_paraformer}" "$kind" "$dir/$kind.part"
        mv "$dir/$kind.part" "$dir/$kind"
    fi
done

if [ ! -e "$dir/ort/node_modules/onnxruntime-node/package.json" ]; then
    if ! command -v npm >/dev/null; then
        echo "paraformer_prepare.sh: npm is missing (Debian's package npm)" >&2
        exit 1
    fi
    # Its install script would only fetch GPU parts.
    (cd "$dir/ort" && npm install --silent --no-save --no-package-lock --ignore-scripts --no-audit --no-fund \
        --prefix . "onnxruntime-node@$ORT")
    rm -rf "$dir"/ort/node_modules/onnxruntime-node/bin/napi-*/{darwin,win32}
fi

if [ ! -e "$dir/ort/paraformer.onnx" ]; then
    /usr/bin/python3 "$here/paraformer_onnx.py" "$dir/ort/paraformer.onnx.part"
    mv "$dir/ort/paraformer.onnx.part" "$dir/ort/paraformer.onnx"
fi
