#!/usr/bin/python3
"""paraformer_accuracy.py - what int8 costs a Paraformer: 500 spoken clips, and how often the text stays.

usage: bench/paraformer_accuracy.py [--models FOLDER] [--clips 500] [--keep FOLDER]

espeak-ng speaks digits and commands in Mandarin and English (spoken.py): the domain of the small models, micro-offline
and micro-streaming of tests/data. Each clip is transcribed by both, in f32 and in int8. The
table says how often the text equals that model's f32 text, and how often it equals what was said, blanks and case left
out. Different seeds are different clips; the same seed is always the same ones.
"""
import argparse
import json
import os
import pathlib
import random
import shutil
import subprocess
import tempfile

import spoken

ROOT = pathlib.Path(__file__).resolve().parents[1]
PINNA = os.environ.get("PINNA_BIN", ROOT / "build" / "pinna")
DATA = ROOT / "tests" / "data" / "paraformer" / "models"
MODELS = ("micro-offline", "micro-streaming")


def clips(folder, n, seed):
    """{file: what is said}"""
    rng, said = random.Random(seed), {}
    for i in range(n):
        text, file = spoken.sentence(rng), folder / f"{i:04}.wav"
        spoken.write_wav(file, spoken.speak(text, rng))
        said[file] = text
    return said


def transcribe(model, precision, files, out):
    """{file: text} of one run over all files."""
    command = [PINNA, "transcribe", "--model", model, "--precision", precision, "--format", "json", "--output-dir", out]
    subprocess.run([*command, *files], check=True, stderr=subprocess.DEVNULL)
    return {f: json.loads((out / (f.stem + ".json")).read_text())["text"].strip() for f in files}


def plain(text):
    return text.replace(" ", "").lower()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--models", type=pathlib.Path, default=DATA)
    p.add_argument("--clips", type=int, default=500)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--keep", help="leave clips and results here")
    args = p.parse_args()
    with tempfile.TemporaryDirectory(prefix="pinna-accuracy-") as name:
        folder = pathlib.Path(args.keep or name)
        for model in MODELS:  # packed files are written beside their source
            shutil.copytree(args.models / model, folder / model, dirs_exist_ok=True)
        said = clips(folder, args.clips, args.seed)
        print(f"{args.clips} clips\n{'model':<18}{'precision':<12}{'= f32':>8}{'= what was said':>18}")
        for model in MODELS:
            base = None
            for precision in ("f32", "int8"):
                texts = transcribe(folder / model, precision, list(said), folder / f"{model}-{precision}")
                base = base or texts
                same = sum(texts[f] == base[f] for f in said)
                right = sum(plain(texts[f]) == plain(said[f]) for f in said)
                print(f"{model:<18}{precision:<12}{100 * same / len(said):>7.1f}%{100 * right / len(said):>17.1f}%")


if __name__ == "__main__":
    main()
