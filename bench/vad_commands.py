#!/usr/bin/env python3
"""vad_commands.py BENCH_VAD [MODEL...] - short commands that espeak-ng speaks, through each detector.

A command is kept if the detector's segments hold at least 90 % of its energy. Rows: the silence around it and
the level of white noise below it. MODEL is a ModelScope folder or a ggml file; energy alone is always there."""
import pathlib
import random
import subprocess
import sys
import tempfile

import numpy

import spoken

COUNT = 200
# (seconds of silence on either side, dB of white noise below the speech or None)
ROOMS = ((0.25, None), (0.0, None), (1.0, None), (0.25, 30), (0.25, 20), (0.25, 10))


def commands(rng):
    """The small models' commands and up to four digits."""
    for _ in range(COUNT):
        if rng.random() < 0.3:
            yield "".join(rng.choice(spoken.DIGITS) for _ in range(rng.randint(1, 4)))
        else:
            yield rng.choice(spoken.COMMANDS).replace("_", " ")


def speak(text, rng):
    voice, speed, pitch = rng.choice(spoken.VOICES), rng.randint(130, 190), rng.randint(30, 70)
    return numpy.concatenate(
        [spoken.resample(*spoken.espeak(language, said, voice, speed, pitch)) for language, said in spoken.parts(text)]
    )


def placed(speech, silence, noise_db, generator):
    gap = numpy.zeros(int(silence * spoken.RATE), numpy.float32)
    pcm = numpy.concatenate([gap, speech * (0.3 / numpy.abs(speech).max()), gap])
    if noise_db is not None:
        level = numpy.sqrt(numpy.mean(speech**2)) * 0.3 / numpy.abs(speech).max() * 10 ** (-noise_db / 20)
        pcm = pcm + generator.normal(0, level, len(pcm))
    return pcm


def listen(program, model, paths):
    """Segments in samples of each recording."""
    out = subprocess.run([program, model, *map(str, paths)], check=True, capture_output=True, text=True).stdout
    segments = []
    for line in out.splitlines()[:-1]:
        pairs = line.split(": ", 1)[1].split() if ": " in line else []
        segments.append([tuple(int(float(s) * spoken.RATE) for s in pair.split("-")) for pair in pairs])
    return segments


def kept(segments, speech, start):
    """Share of the energy of the speech that begins at `start`."""
    energy = speech**2
    inside = numpy.zeros(len(speech), bool)
    for a, b in segments:
        inside[max(a - start, 0) : max(b - start, 0)] = True
    return energy[inside].sum() / energy.sum()


def main():
    program, models = sys.argv[1], ["-", *sys.argv[2:]]
    rng, generator = random.Random(4), numpy.random.default_rng(4)
    speeches = [speak(text, rng) for text in commands(rng)]
    print(f"{COUNT} commands of {min(map(len, speeches)) / spoken.RATE:.2f} to {max(map(len, speeches)) / spoken.RATE:.2f} s")
    print("| silence around | noise | " + " | ".join(pathlib.Path(m).name if m != "-" else "energy" for m in models) + " |")
    print("| --- " * (2 + len(models)) + "|")
    for silence, noise_db in ROOMS:
        with tempfile.TemporaryDirectory() as folder:
            paths = [pathlib.Path(folder) / f"{i}.wav" for i in range(COUNT)]
            for path, speech in zip(paths, speeches):
                spoken.write_wav(path, placed(speech, silence, noise_db, generator))
            shares = []
            for model in models:
                found = listen(program, model, paths)
                good = sum(
                    kept(segments, speech, int(silence * spoken.RATE)) >= 0.9 for segments, speech in zip(found, speeches)
                )
                shares.append(f"{100 * good / COUNT:.1f} %")
        noise = "none" if noise_db is None else f"{noise_db} dB below"
        print(f"| {silence} s | {noise} | " + " | ".join(shares) + " |")


if __name__ == "__main__":
    main()
