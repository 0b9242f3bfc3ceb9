"""clips.py - one recording in every format that Pinna reads, made with the ffmpeg program.

clips.make(source, folder) returns {name: Clip}; what is in the folder already is not made again.
"""
import dataclasses
import os
import pathlib
import struct
import subprocess
import wave


@dataclasses.dataclass(frozen=True)
class Format:
    suffix: str
    options: tuple = ()
    tolerance: float = 0.1  # seconds: what the format adds or cuts at the ends
    aligned: bool = True  # the first sample is where it was: the encoder's delay is cut
    exact: bool = False  # lossless from 16 kHz mono 16 bit
    video: bool = False
    frames: bytes = b""  # no encoder in Debian's ffmpeg: a header and as many 20 ms frames of a pattern


@dataclasses.dataclass(frozen=True)
class Clip:
    path: pathlib.Path
    seconds: float  # of the source
    format: Format


def pattern(toc, size):
    """An AMR frame: its table-of-contents byte, then bits; any bits are a valid frame."""
    return bytes([toc]) + bytes((i * 37 + 11) & 0xFF for i in range(size - 1))


AMR = {"amr-nb": (b"#!AMR\n", pattern(0x3C, 32)), "amr-wb": (b"#!AMR-WB\n", pattern(0x14, 33))}

FORMATS = {
    "wav-s16": Format("wav", ("-c:a", "pcm_s16le"), 0, exact=True),
    "wav-f32": Format("wav", ("-c:a", "pcm_f32le"), 0, exact=True),
    "wav-s24": Format("wav", ("-c:a", "pcm_s24le"), 0, exact=True),
    "wav-u8": Format("wav", ("-c:a", "pcm_u8"), 0),
    "wav-8k": Format("wav", ("-ar", "8000"), 0.01),
    "wav-44k-stereo": Format("wav", ("-ar", "44100", "-ac", "2"), 0.01),
    "wav-alaw": Format("wav", ("-c:a", "pcm_alaw"), 0),
    "wav-adpcm": Format("wav", ("-c:a", "adpcm_ima_wav"), 0.15),  # whole blocks
    "mp3": Format("mp3", ("-c:a", "libmp3lame")),
    "mp3-44k-stereo": Format("mp3", ("-c:a", "libmp3lame", "-ar", "44100", "-ac", "2", "-b:a", "96k")),
    "m4a": Format("m4a", ("-c:a", "aac")),  # ffmpeg writes the index at the end
    "m4a-faststart": Format("m4a", ("-c:a", "aac", "-movflags", "+faststart")),
    "m4a-alac": Format("m4a", ("-c:a", "alac"), 0, exact=True),
    "mp4-video": Format("mp4", ("-c:v", "mpeg4", "-c:a", "aac"), video=True),
    "mov-video": Format("mov", ("-c:v", "mpeg4", "-c:a", "pcm_s16le"), video=True),
    "3gp": Format("3gp", ("-c:a", "aac")),
    "flac": Format("flac", (), 0, exact=True),
    "ogg-vorbis": Format("ogg", ("-c:a", "libvorbis")),
    "ogg-opus": Format("ogg", ("-c:a", "libopus")),
    "webm-opus": Format("webm", ("-c:a", "libopus")),
    "webm-video": Format("webm", ("-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libvorbis"), video=True),
    "mkv": Format("mkv", ("-c:a", "flac"), 0, exact=True),
    "mkv-video": Format("mkv", ("-c:v", "mpeg4", "-c:a", "libmp3lame"), aligned=False, video=True),
    "aac": Format("aac", ("-c:a", "aac"), 0.15, aligned=False),  # ADTS cannot say its delay
    "aiff": Format("aiff", (), 0, exact=True),
    "caf": Format("caf", ("-c:a", "pcm_s16le"), 0, exact=True),
    "au": Format("au", (), 0, exact=True),
    "w64": Format("w64", (), 0, exact=True),
    "avi-video": Format("avi", ("-c:v", "mpeg4", "-c:a", "libmp3lame"), 0.15, aligned=False, video=True),
    "mpegts-video": Format("ts", ("-c:v", "mpeg2video", "-c:a", "mp2"), 0.15, aligned=False, video=True),
    "mpeg-video": Format("mpg", ("-c:v", "mpeg2video", "-c:a", "mp2"), 0.15, aligned=False, video=True),
    "flv-video": Format("flv", ("-c:v", "flv1", "-c:a", "aac"), 0.15, aligned=False, video=True),
    "wma": Format("wma", ("-c:a", "wmav2"), aligned=False),
    "amr-nb": Format("amr", tolerance=0.02, aligned=False),
    "amr-wb": Format("awb", tolerance=0.02, aligned=False),
}


def ffmpeg(*args):
    subprocess.run(["ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "error", "-y", *map(str, args)], check=True,
                   timeout=300)


def seconds_of(path):
    with wave.open(str(path)) as w:
        return w.getnframes() / w.getframerate()


def to_16k(source, folder):
    """The source as 16 kHz mono 16-bit WAV, which all clips are made of."""
    path = pathlib.Path(folder) / "source.wav"
    if not path.exists():
        ffmpeg("-i", source, "-ac", 1, "-ar", 16000, "-c:a", "pcm_s16le", "-bitexact", path.with_suffix(".new.wav"))
        os.replace(path.with_suffix(".new.wav"), path)
    return path


def make_one(source, path, name):
    form = FORMATS[name]
    if name in AMR:
        head, frame = AMR[name]
        path.write_bytes(head + frame * round(seconds_of(source) / 0.02))
    elif form.video:
        ffmpeg("-f", "lavfi", "-i", f"testsrc=size=176x144:rate=25:duration={seconds_of(source):.3f}", "-i", source,
               "-ar", 44100, *form.options, path)
    else:
        ffmpeg("-i", source, *form.options, path)


def make(source, folder, names=None):
    """Clips of the WAV `source`, all formats or those in `names`."""
    folder = pathlib.Path(folder)
    base = to_16k(source, folder)
    clips = {}
    for name in names or FORMATS:
        path = folder / f"{name}.{FORMATS[name].suffix}"
        if not path.exists():
            new = folder / f"new-{name}.{FORMATS[name].suffix}"
            make_one(base, new, name)
            os.replace(new, path)
        clips[name] = Clip(path, seconds_of(base), FORMATS[name])
    return clips


def wav_header(data_bytes, channels=1, rate=16000, bits=16, form=1):
    """For files that lie: every field as given."""
    block = (channels * bits // 8) & 0xFFFF
    return (b"RIFF" + struct.pack("<I", (36 + data_bytes) & 0xFFFFFFFF) + b"WAVEfmt " +
            struct.pack("<IHHIIHH", 16, form, channels, rate, (rate * block) & 0xFFFFFFFF, block, bits) +
            b"data" + struct.pack("<I", data_bytes))


def silent_wav(path, seconds, rate=8000):
    """Hours of silence in a sparse file: 8-bit, so that its zeros are loud but its size is real."""
    with open(path, "wb") as f:
        f.write(wav_header(seconds * rate, rate=rate, bits=8))
        f.truncate(44 + seconds * rate)
    return path
