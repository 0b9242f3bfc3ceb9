#!/usr/bin/env python3
"""vad_commands.py BENCH_VAD [MODEL...] - 200 short commands that espeak-ng speaks, through each detector.

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


def command(rng):
    """What the small models know: a command or up to four digits."""
    if rng.random() < 0.3:
        return "".join(rng.choice(spoken.DIGITS) for _ in range(rng.randint(1, 4)))
    return rng.choice(spoken.COMMANDS).replace("_", " ")


def say(text, rng):
    """Samples without silence around, at most 0.3 loud."""
    voice, speed, pitch = rng.choice(spoken.VOICES), rng.randint(130, 190), rng.randint(30, 70)
    pieces = [spoken.espeak(language, said, voice, speed, pitch) for language, said in spoken.parts(text)]
    pcm = numpy.concatenate([spoken.resample(*piece) for piece in pieces])
    return pcm * (0.3 / numpy.abs(pcm).max())


def commands(count=COUNT, seed=4):
    rng = random.Random(seed)
    return [say(command(rng), rng) for _ in range(count)]


def placed(speech, silence, noise_db, generator):
    gap = numpy.zeros(int(silence * spoken.RATE), numpy.float32)
    pcm = numpy.concatenate([gap, speech, gap])
    if noise_db is None:
        return pcm
    level = numpy.sqrt(numpy.mean(speech**2)) * 10 ** (-noise_db / 20)
    return pcm + generator.normal(0, level, len(pcm))


def listen(program, model, paths):
    """Segments in samples of each recording."""
    out = subprocess.run([program, model, *map(str, paths)], check=True, capture_output=True, text=True).stdout
    segments = []
    for line in out.splitlines()[:-1]:
        pairs = line.split(": ", 1)[1].split() if ": " in line else []
        segments.append([tuple(int(float(s) * spoken.RATE) for s in pair.split("-")) for pair in pairs])
    return segments


def share(segments, speech, start):
    """Of the energy of the speech that begins at `start`, what lies in the segments."""
    energy = speech**2
    inside = numpy.zeros(len(speech), bool)
    for a, b in segments:
        inside[max(a - start, 0) : max(b - start, 0)] = True
    return energy[inside].sum() / energy.sum()


def kept(program, models, speeches, room):
    """How many of the commands each detector keeps in a room."""
    silence, noise_db = room
    generator = numpy.random.default_rng(4)
    with tempfile.TemporaryDirectory() as folder:
        paths = [pathlib.Path(folder) / f"{i}.wav" for i in range(len(speeches))]
        for path, speech in zip(paths, speeches):
            spoken.write_wav(path, placed(speech, silence, noise_db, generator))
        start = int(silence * spoken.RATE)
        return [
            sum(share(found, speech, start) >= 0.9 for found, speech in zip(listen(program, model, paths), speeches))
            for model in models
        ]


def main():
    program, models = sys.argv[1], ["-", *sys.argv[2:]]
    speeches = commands()
    lengths = [len(speech) / spoken.RATE for speech in speeches]
    print(f"{COUNT} commands of {min(lengths):.2f} to {max(lengths):.2f} s")
    names = ["energy", *(pathlib.Path(model).name for model in sys.argv[2:])]
    print("| silence around | noise | " + " | ".join(names) + " |")
    print("| --- " * (2 + len(models)) + "|")
    for room in ROOMS:
        counts = kept(program, models, speeches, room)
        noise = "none" if room[1] is None else f"{room[1]} dB below"
        print(f"| {room[0]} s | {noise} | " + " | ".join(f"{100 * n / COUNT:.1f} %" for n in counts) + " |")


if __name__ == "__main__":
    main()
