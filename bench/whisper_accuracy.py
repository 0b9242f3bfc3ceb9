#!/usr/bin/python3
"""whisper_accuracy.py - what int8 and a short encoder context cost: 500 spoken clips, and how often the text stays.

usage: bench/whisper_accuracy.py [--model FILE] [--clips 500]

espeak-ng speaks strings of digits, in English and Mandarin, in several voices, rates and pitches: the domain of the
small model in tests/data, which is the default. Each clip is transcribed in f32, in int8, and in both with
encoder_context=auto. The table says how often the text equals the f32 text, and how often it equals what was said.
Different seeds are different clips; the same seed is always the same ones.
"""
import argparse
import gzip
import json
import os
import pathlib
import random
import shutil
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
PINNA = os.environ.get("PINNA_BIN", ROOT / "build" / "pinna")
DATA = ROOT / "tests" / "data"
ENGLISH = "zero one two three four five six seven eight nine".split()
HANZI = "零一二三四五六七八九"
PINYIN = "ling2 yi1 er4 san1 si4 wu3 liu4 qi1 ba1 jiu3".split()
VOICES = {"en": ["en-us", "en+f2", "en-us+m3", "en+Annie", "en-us+f2"], "zh": ["cmn-latn-pinyin", "cmn-latn-pinyin+f2", "cmn-latn-pinyin+m3"]}


def sentence(rng):
    digits = [rng.randrange(10) for _ in range(rng.randint(2, 5))]
    if rng.random() < 0.5:
        words = " ".join(ENGLISH[d] for d in digits)
        return "en", words, words
    return "zh", "".join(HANZI[d] for d in digits), " ".join(PINYIN[d] for d in digits)


def speak(folder, n, seed):
    """[(file, language, text)]; 16 kHz mono, with a little silence around, as a recording has."""
    rng, out = random.Random(seed), []
    for i in range(n):
        language, text, spoken = sentence(rng)
        voice, rate, pitch = rng.choice(VOICES[language]), rng.randint(130, 180), rng.randint(35, 65)
        raw, file = folder / "raw.wav", folder / f"{i:04}.wav"
        subprocess.run(["espeak-ng", "-v", voice, "-s", str(rate), "-p", str(pitch), "-w", raw, spoken], check=True)
        subprocess.run(
            ["ffmpeg", "-loglevel", "error", "-y", "-i", raw, "-af", "adelay=200,apad=pad_dur=0.2", "-ar", "16000", "-ac", "1", file],
            check=True,
        )
        out.append((file, language, text))
    return out


def transcribe(model, files, out, *options):
    """{file: text} of one run over all files."""
    command = [PINNA, "transcribe", "--model", model, "--format", "json", "--output-dir", out, *options, *files]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return {f: json.loads((out / (f.stem + ".json")).read_text())["text"].strip() for f in files}


def table(said, results):
    base = results["f32"]
    print(f"{'run':<24}{'= f32':>10}{'= what was said':>18}")
    for name, texts in results.items():
        same = sum(texts[f] == base[f] for f in base)
        right = sum(texts[f] == said[f] for f in base)
        print(f"{name:<24}{100 * same / len(base):>9.1f}%{100 * right / len(base):>17.1f}%")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model")
    p.add_argument("--clips", type=int, default=500)
    p.add_argument("--seed", type=int, default=1)
    args = p.parse_args()
    with tempfile.TemporaryDirectory(prefix="pinna-accuracy-") as name:
        folder = pathlib.Path(name)
        model = args.model
        if not model:
            model = folder / "micro.pt"
            with gzip.open(DATA / "micro.pt.gz") as packed, open(model, "wb") as out:
                shutil.copyfileobj(packed, out)
            shutil.copy(DATA / "micro.tiktoken", folder / "multilingual.tiktoken")
        spoken = speak(folder, args.clips, args.seed)
        files, said = [f for f, _, _ in spoken], {f: t for f, _, t in spoken}
        results = {}
        for precision in ("f32", "int8"):
            for context in ("full", "auto"):
                label = precision if context == "full" else f"{precision}, context auto"
                out = folder / label.replace(", ", "-").replace(" ", "-")
                results[label] = transcribe(
                    model, files, out, "--precision", precision, "--encoder-context", context, "--temperature", "0"
                )
        print(f"{args.clips} clips, {os.path.basename(model)}")
        table(said, results)


if __name__ == "__main__":
    main()
