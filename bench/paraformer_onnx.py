#!/usr/bin/python3
"""paraformer_onnx.py - the layer stack of a large Paraformer as an ONNX graph: the yardstick of bench_paraformer.

usage: bench/paraformer_onnx.py FILE [--weights s8|u8|f32] [--blocks 50] [--layers 16]

Random weights, true sizes: 50 SANM blocks, the convolution of the predictor, 16 decoder layers and the last
feed-forward, 8404 outputs. Inputs are x [batch, rows, 560], features with their position code, and e [batch, tokens,
512], the acoustic embeddings: integrate-and-fire, front-end and text are not in it. Products with weights are what
FunASR's own export quantises them to: weights per column in 8 bits, activations to u8 at run time (one scale a
tensor), 32-bit sums; the rest is f32.
"""
import argparse

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

INPUT, SIZE, FEED, HEADS, TAPS, VOCABULARY = 560, 512, 2048, 4, 11, 8404


class Graph:
    """Nodes and constants with made-up names; every method returns the name of what it computes."""

    def __init__(self, weights):
        self.weights, self.nodes, self.constants, self.quantised = weights, [], {}, {}
        self.rng = numpy.random.default_rng(1)

    def op(self, kind, inputs, outputs=1, **attributes):
        names = [f"{kind}_{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, **attributes))
        return names[0] if outputs == 1 else names

    def constant(self, value, name=None):
        name = name or f"constant_{len(self.constants)}"
        self.constants[name] = numpy_helper.from_array(value, name)
        return name

    def normal(self, *shape, scale):
        return self.rng.standard_normal(shape, dtype=numpy.float32) * numpy.float32(scale)

    def norm(self, x, n):
        weight, bias = 1 + self.normal(n, scale=0.1), self.normal(n, scale=0.1)
        return self.op("LayerNormalization", [x, self.constant(weight), self.constant(bias)], axis=-1, epsilon=1e-12)

    def quantise(self, x):
        """u8 values, scale and zero point of an activation; once, whoever asks."""
        if x not in self.quantised:
            self.quantised[x] = self.op("DynamicQuantizeLinear", [x], 3)
        return self.quantised[x]

    def product(self, x, n_in, n_out):
        weight = self.normal(n_in, n_out, scale=0.7 / n_in**0.5)
        if self.weights == "f32":
            return self.op("MatMul", [x, self.constant(weight)])
        scale = numpy.abs(weight).max(axis=0) / 127
        whole = numpy.rint(weight / scale).astype(numpy.int8)
        zero = numpy.zeros(n_out, numpy.int8)
        if self.weights == "u8":
            whole, zero = (whole.astype(numpy.int16) + 128).astype(numpy.uint8), numpy.full(n_out, 128, numpy.uint8)
        value, by, offset = self.quantise(x)
        sums = self.op("MatMulInteger", [value, self.constant(whole), offset, self.constant(zero)])
        both = self.op("Mul", [by, self.constant(scale.astype(numpy.float32))])
        return self.op("Mul", [self.op("Cast", [sums], to=TensorProto.FLOAT), both])

    def linear(self, x, n_in, n_out):
        return self.op("Add", [self.product(x, n_in, n_out), self.constant(self.normal(n_out, scale=0.1))])

    def conv(self, x, weight, groups, bias=None):
        """Along the rows, as many rows out as in."""
        side = weight.shape[2] // 2
        inputs = [self.op("Transpose", [x], perm=[0, 2, 1]), self.constant(weight)]
        inputs += [self.constant(bias)] if bias is not None else []
        out = self.op("Conv", inputs, group=groups, pads=[side, side], kernel_shape=[weight.shape[2]])
        return self.op("Transpose", [out], perm=[0, 2, 1])

    def memory(self, x):
        """x and what a depthwise convolution makes of its neighbours."""
        return self.op("Add", [x, self.conv(x, self.normal(SIZE, 1, TAPS, scale=0.1), SIZE)])

    def split(self, x, parts):
        return self.op("Split", [x, self.constant(numpy.full(parts, SIZE, numpy.int64))], parts, axis=-1)

    def heads(self, x, perm):
        shape = self.constant(numpy.array([0, 0, HEADS, SIZE // HEADS], numpy.int64))
        return self.op("Transpose", [self.op("Reshape", [x, shape])], perm=perm)

    def attend(self, q, k, v):
        scale = self.constant(numpy.float32((SIZE // HEADS) ** -0.5))
        q = self.heads(self.op("Mul", [q, scale]), [0, 2, 1, 3])
        scores = self.op("MatMul", [q, self.heads(k, [0, 2, 3, 1])])
        out = self.op("MatMul", [self.op("Softmax", [scores], axis=-1), self.heads(v, [0, 2, 1, 3])])
        out = self.op("Transpose", [out], perm=[0, 2, 1, 3])
        return self.op("Reshape", [out, self.constant(numpy.array([0, 0, SIZE], numpy.int64))])


def block(g, x, n_in):
    q, k, v = g.split(g.linear(g.norm(x, n_in), n_in, 3 * SIZE), 3)
    y = g.op("Add", [g.linear(g.attend(q, k, v), SIZE, SIZE), g.memory(v)])
    if n_in == SIZE:
        y = g.op("Add", [x, y])
    hidden = g.op("Relu", [g.linear(g.norm(y, SIZE), SIZE, FEED)])
    return g.op("Add", [y, g.linear(hidden, FEED, SIZE)])


def encoder(g, x, n_blocks):
    for i in range(n_blocks):
        x = block(g, x, SIZE if i else INPUT)
    return g.norm(x, SIZE)


def predictor(g, memory):
    weight = g.normal(SIZE, SIZE, 3, scale=(3 * SIZE) ** -0.5)
    x = g.op("Relu", [g.conv(memory, weight, 1, g.normal(SIZE, scale=0.1))])
    g.op("Sigmoid", [g.op("MatMul", [x, g.constant(g.normal(SIZE, 1, scale=SIZE**-0.5))])])
    g.nodes[-1].output[0] = "alphas"


def feed_forward(g, x):
    hidden = g.op("Relu", [g.linear(g.norm(x, SIZE), SIZE, FEED)])
    return g.product(g.norm(hidden, FEED), FEED, SIZE)


def decoder(g, e, memory, n_layers):
    y = e
    for _ in range(n_layers):
        y = g.op("Add", [y, g.memory(g.norm(feed_forward(g, y), SIZE))])
        k, v = g.split(g.linear(memory, SIZE, 2 * SIZE), 2)
        q = g.linear(g.norm(y, SIZE), SIZE, SIZE)
        y = g.op("Add", [y, g.linear(g.attend(q, k, v), SIZE, SIZE)])
    g.linear(g.norm(feed_forward(g, y), SIZE), SIZE, VOCABULARY)
    g.nodes[-1].output[0] = "logits"


def model(weights, n_blocks, n_layers):
    g = Graph(weights)
    memory = encoder(g, "x", n_blocks)
    predictor(g, memory)
    decoder(g, "e", memory, n_layers)
    value = lambda name, *shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    graph = helper.make_graph(
        g.nodes,
        "paraformer",
        [value("x", "batch", "rows", INPUT), value("e", "batch", "tokens", SIZE)],
        [value("alphas", "batch", "rows", 1), value("logits", "batch", "tokens", VOCABULARY)],
        list(g.constants.values()),
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("file")
    p.add_argument("--weights", choices=("s8", "u8", "f32"), default="s8")
    p.add_argument("--blocks", type=int, default=50)
    p.add_argument("--layers", type=int, default=16)
    args = p.parse_args()
    onnx.save(model(args.weights, args.blocks, args.layers), args.file)


if __name__ == "__main__":
    main()
