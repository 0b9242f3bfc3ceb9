"""The matrix products and attention of a Whisper in PyTorch, f32, for the table of bench/whisper.

whisper_torch.py MODEL THREADS: no checkpoint is needed, the weights are random; layer norms, softmax and GELU
are in, filters and sampling are not. Run it with OPENBLAS_CORETYPE=SkylakeX on CPUs that OpenBLAS does not know.
"""
import math
import re
import sys
import time

import torch
import torch.nn.functional as F

SIZES = {"tiny": (384, 4, 80), "base": (512, 6, 80), "small": (768, 12, 80), "medium": (1024, 24, 80)}
VOCAB, CONTEXT, HEAD = 51865, 1500, 64


def attend(q, k, v):
    return torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(HEAD), dim=-1) @ v


def heads(x):
    return x.view(*x.shape[:-1], -1, HEAD).transpose(-2, -3)


def merge(x):
    return x.transpose(-2, -3).reshape(*x.shape[:-3], x.shape[-2], -1)


class Layer:
    def __init__(self, s, cross):
        rand = lambda n, k: torch.randn(n, k) / math.sqrt(k)
        self.qkv, self.out = rand(3 * s, s), rand(s, s)
        self.fc1, self.fc2 = rand(4 * s, s), rand(s, 4 * s)
        if cross:
            self.cross_q, self.cross_out, self.cross_kv = rand(s, s), rand(s, s), rand(2 * s, s)

    def mlp(self, x):
        s = x.shape[-1]
        return x + F.linear(F.gelu(F.linear(F.layer_norm(x, (s,)), self.fc1)), self.fc2)

    def encode(self, x):
        s = x.shape[-1]
        q, k, v = (heads(y) for y in F.linear(F.layer_norm(x, (s,)), self.qkv).split(s, -1))
        return self.mlp(x + F.linear(merge(attend(q, k, v)), self.out))

    def decode(self, x, cache, cross):
        s = x.shape[-1]
        q, k, v = (heads(y) for y in F.linear(F.layer_norm(x, (s,)), self.qkv).split(s, -1))
        k, v = torch.cat((cache[0], k), -2), torch.cat((cache[1], v), -2)
        x = x + F.linear(merge(attend(q, k, v)), self.out)
        q = heads(F.linear(F.layer_norm(x, (s,)), self.cross_q))
        return self.mlp(x + F.linear(merge(attend(q, *cross)), self.cross_out))


def milliseconds(run, rounds, threads):
    clock = time.process_time if threads == 1 else time.perf_counter
    run()
    times = []
    for _ in range(rounds):
        start = clock()
        run()
        times.append(1000 * (clock() - start))
    return sorted(times)[rounds // 2], min(times)


def fast_blas():
    """Whether a tuned BLAS is really loaded: with the reference one (Debian's default) PyTorch takes 17 times as
    long, and a comparison would say nothing."""
    with open("/proc/self/maps", encoding="utf-8") as maps:
        return re.search(r"/lib(openblas|blis|mkl_)", maps.read()) is not None


def main():
    name, threads = sys.argv[1], int(sys.argv[2])
    s, n_layers, mels = SIZES[name]
    if not fast_blas():
        print("  PyTorch: not measured, it is on the reference BLAS here (libopenblas0-pthread is the fast one)")
        return
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    conv1, conv2 = torch.randn(s, mels, 3) / 15, torch.randn(s, s, 3) / 40
    encoder = [Layer(s, False) for _ in range(n_layers)]
    decoder = [Layer(s, True) for _ in range(n_layers)]
    vocabulary = torch.randn(VOCAB, s) / 10
    mel = torch.randn(1, mels, 2 * CONTEXT)

    def encode():
        x = F.gelu(F.conv1d(mel, conv1, padding=1))
        x = F.gelu(F.conv1d(x, conv2, padding=1, stride=2)).transpose(1, 2)[0]
        for layer in encoder:
            x = layer.encode(x)
        x = F.layer_norm(x, (s,))
        return [[heads(y).contiguous() for y in F.linear(x, d.cross_kv).split(s, -1)] for d in decoder]

    with torch.no_grad():
        ms, best = milliseconds(encode, 3, threads)
        print(f"  PyTorch {torch.__version__} f32, {threads} threads: encoder window {ms:.1f} ms ({best:.1f})")
        cross = encode()
        for batch in (1, 4, 16):
            own = [[y.expand(batch, -1, -1, -1).contiguous() for y in kv] for kv in cross]
            cache = [torch.randn(2, batch, s // HEAD, 30, HEAD) for _ in decoder]
            x = torch.randn(batch, 1, s)

            def token():
                y = x
                for layer, past, kv in zip(decoder, cache, own):
                    y = layer.decode(y, past, kv)
                return F.linear(F.layer_norm(y, (s,)), vocabulary)

            ms, best = milliseconds(token, 9, threads)
            print(f"  PyTorch {torch.__version__} f32, {threads} threads: token, batch {batch:<2} "
                  f"{ms / batch:.2f} ms ({best / batch:.2f}) a stream")


main()
