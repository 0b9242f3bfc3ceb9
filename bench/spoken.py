"""spoken.py - what the small Paraformers know, digits and commands, spoken by espeak-ng; a random generator decides."""
import io
import subprocess
import wave

import numpy

RATE = 16000
PINYIN = dict(
    zip(
        "空调电灯视音乐窗户门闹钟播放停止暂继续上一首下今天气怎么样现在几点你好谢再见声高低温度零二三四五六七八九打开关闭到十话给设置",
        "kong1 tiao2 dian4 deng1 shi4 yin1 yue4 chuang1 hu4 men2 nao4 zhong1 bo1 fang4 ting2 zhi3 zan4 ji4 xu4 shang4 yi1 "
        "shou3 xia4 jin1 tian1 qi4 zen3 me5 yang4 xian4 zai4 ji3 dian3 ni3 hao3 xie4 zai4 jian4 sheng1 gao1 di1 wen1 du4 "
        "ling2 er4 san1 si4 wu3 liu4 qi1 ba1 jiu3 da3 kai1 guan1 bi4 dao4 shi2 hua4 gei3 she4 zhi4".split(),
    )
)
DIGITS = "零一二三四五六七八九"
COMMANDS = (
    "打开空调 关闭空调 打开电灯 关闭电灯 打开电视 打开窗户 关门 开门 播放音乐 停止播放 暂停播放 继续播放 上一首 下一首 今天天气怎么样 "
    "现在几点 你好 谢谢 再见 声音调高 声音调低 设置闹钟 hello_ok stop play_music open thank_you 打开TV 关闭USB hello你好"
).split()
# None of these voices was used to train the models.
VOICES = ("f4", "m5", "Alex", "linda", "Michael", "m8")


def sentence(rng):
    """Text without blanks inside a language: "打开TV", "play music"."""
    kind = rng.random()
    if kind < 0.4:
        return "".join(rng.choice(DIGITS) for _ in range(rng.randint(1, 8)))
    if kind < 0.5:
        return f"温度调到{rng.choice('二三')}十{rng.choice(DIGITS[1:])}"
    if kind < 0.6:
        return "打电话给" + "".join(rng.choice(DIGITS) for _ in range(rng.randint(3, 6)))
    return rng.choice(COMMANDS).replace("_", " ")


def parts(text):
    """[(language, what is said)]: Chinese in pinyin, English in words, capitals letter by letter."""
    out = []
    for c in text:
        language = "zh" if c in PINYIN else "en"
        if not out or out[-1][0] != language:
            out.append((language, ""))
        said = PINYIN[c] + " " if language == "zh" else c.lower() + " " if c.isupper() else c
        out[-1] = (language, out[-1][1] + said)
    return out


def espeak(language, said, voice, speed, pitch):
    """float32 samples at espeak's own rate, which is returned, too; without the silence around them."""
    name = {"zh": "cmn-latn-pinyin", "en": "en-us"}[language] + "+" + voice
    command = ["espeak-ng", "-v", name, "-s", str(speed), "-p", str(pitch), "--stdout", said]
    data = subprocess.run(command, check=True, capture_output=True).stdout
    with wave.open(io.BytesIO(data)) as w:
        rate, pcm = w.getframerate(), numpy.frombuffer(w.readframes(10**9), "<i2")
    pcm = pcm.astype(numpy.float32) / 32768
    loud = numpy.flatnonzero(numpy.abs(pcm) > 0.005)
    return pcm[loud[0] : loud[-1] + 1] if len(loud) else pcm, rate


def resample(pcm, rate):
    """To 16 kHz, by the sinc of the lower band over 32 zero crossings."""
    n = int(len(pcm) * RATE / rate)
    at = numpy.arange(n) * (rate / RATE)
    first = numpy.floor(at).astype(int) - 31
    taps = first[:, None] + numpy.arange(64)
    away = at[:, None] - taps
    band = min(1.0, RATE / rate) * 0.95
    weight = band * numpy.sinc(band * away) * numpy.cos(numpy.pi * away / 66) ** 2
    padded = numpy.pad(pcm, 32)
    return numpy.einsum("nt,nt->n", padded[numpy.clip(taps + 32, 0, len(padded) - 1)], weight).astype(numpy.float32)


def speak(text, rng, silence=0.25):
    """float32 samples at 16 kHz with silence around and noise 30 dB below, as a quiet room has it."""
    voice, speed, pitch = rng.choice(VOICES), rng.randint(130, 190), rng.randint(30, 70)
    gap = numpy.zeros(int(silence * RATE), numpy.float32)
    pieces = [gap]
    for language, said in parts(text):
        pieces.append(resample(*espeak(language, said, voice, speed, pitch)))
    pcm = numpy.concatenate(pieces + [gap])
    noise = numpy.random.default_rng(rng.getrandbits(32)).standard_normal(len(pcm), numpy.float32)
    return pcm + noise * (numpy.sqrt(numpy.mean(pcm**2)) * 10 ** (-30 / 20)).astype(numpy.float32)


def sixteen_bits(pcm):
    return numpy.rint(numpy.clip(pcm, -1, 1) * 32767).astype("<i2").tobytes()


def write_wav(path, pcm):
    with wave.open(str(path), "wb") as w:
        w.setnchannels(1)
        w.setsampwidth(2)
        w.setframerate(RATE)
        w.writeframes(sixteen_bits(pcm))
