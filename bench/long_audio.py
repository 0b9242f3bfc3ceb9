#!/usr/bin/python3
"""long_audio.py - writes hours of audio, piece by piece: a recording with pauses, or noise that says nothing.

usage: bench/long_audio.py speech|noise FILE [--minutes 120] [--seed 1]

speech: sentences that the small Paraformers know (spoken.py), 200 different ones, in random order and loudness, with
pauses of 0.4 to 4 s and quiet noise under everything. FILE.json says what begins and ends when.
noise: minutes of white and pink noise, mains hum, clicks and silence in turn, each louder or softer than the last.
The same seed gives the same bytes. 16 kHz, mono, 16 bits.
"""
import argparse
import json
import random
import wave

import numpy

import spoken

SECOND = spoken.RATE
DIFFERENT = 200


def pink(rng, n):
    """White noise divided by the root of the frequency, rms 1."""
    spectrum = numpy.fft.rfft(rng.standard_normal(n, numpy.float32))
    spectrum[1:] /= numpy.sqrt(numpy.arange(1, len(spectrum)))
    spectrum[0] = 0
    pcm = numpy.fft.irfft(spectrum, n)
    return (pcm / numpy.sqrt(numpy.mean(pcm**2))).astype(numpy.float32)


def white(rng, n):
    return rng.standard_normal(n, numpy.float32)


def hum(rng, n):
    """50 or 60 Hz with overtones that fade."""
    t, base = numpy.arange(n) / SECOND, rng.choice([50, 60])
    pcm = sum(numpy.sin(2 * numpy.pi * base * k * t + rng.uniform(0, 6)) / k for k in (1, 2, 3, 5, 7))
    return pcm.astype(numpy.float32)


def clicks(rng, n):
    """About two a second, a few milliseconds each."""
    pcm = numpy.zeros(n, numpy.float32)
    for at in rng.integers(0, n - 200, 2 * n // SECOND):
        pcm[at : at + 100] += rng.standard_normal(100, numpy.float32) * numpy.exp(-numpy.arange(100) / 20).astype("f4") * 5
    return pcm


def silence(rng, n):
    return numpy.zeros(n, numpy.float32)


def noise(seconds, seed):
    rng, kinds = numpy.random.default_rng(seed), (white, pink, hum, clicks, silence)
    for i in range(-(-seconds // 10)):
        kind = kinds[i // 6 % len(kinds)]
        yield kind(rng, 10 * SECOND) * numpy.float32(10 ** rng.uniform(-3, -0.7))


def speech(seconds, seed, segments):
    rng, quiet = random.Random(seed), numpy.random.default_rng(seed)
    texts = [spoken.sentence(rng) for _ in range(DIFFERENT)]
    voices = [spoken.speak(t, rng, silence=0.05) for t in texts]
    at = 0
    while at < seconds * SECOND:
        i, gap = rng.randrange(DIFFERENT), int(rng.uniform(0.4, 4) * SECOND)
        pcm = numpy.concatenate([voices[i] * rng.uniform(0.4, 1), numpy.zeros(gap, numpy.float32)])
        segments.append({"start": at / SECOND, "end": (at + len(voices[i])) / SECOND, "text": texts[i]})
        at += len(pcm)
        yield pcm + quiet.standard_normal(len(pcm), numpy.float32) * numpy.float32(0.0005)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("kind", choices=("speech", "noise"))
    p.add_argument("file")
    p.add_argument("--minutes", type=float, default=120)
    p.add_argument("--seed", type=int, default=1)
    args = p.parse_args()
    seconds, segments = int(args.minutes * 60), []
    pieces = noise(seconds, args.seed) if args.kind == "noise" else speech(seconds, args.seed, segments)
    with wave.open(args.file, "wb") as w:
        w.setnchannels(1)
        w.setsampwidth(2)
        w.setframerate(SECOND)
        for pcm in pieces:
            w.writeframesraw(spoken.sixteen_bits(pcm))
    if segments:
        with open(args.file + ".json", "w", encoding="utf-8") as f:
            json.dump(segments, f, ensure_ascii=False, indent=0)


if __name__ == "__main__":
    main()
