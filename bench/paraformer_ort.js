// paraformer_ort.js - runs the graph of paraformer_onnx.py in ONNX Runtime, case by case, as it is told.
//
//     NODE_PATH=FOLDER/node_modules node bench/paraformer_ort.js FILE THREADS
//
// Every line of standard input is a case: "BATCH ROWS TOKENS RUNS". It answers with a line of JSON: milliseconds of each
// run by the wall and of processor time, and resident memory in MB; first of all with one for loading.
'use strict';

const readline = require('node:readline');
const ort = require('onnxruntime-node');

const INPUT = 560;
const SIZE = 512;

function noise(...shape) {
  const data = new Float32Array(shape.reduce((a, b) => a * b));
  let state = 1;
  for (let i = 0; i < data.length; i++) {
    state = (state * 1103515245 + 12345) % 2147483648;
    data[i] = state / 1073741824 - 1;
  }
  return new ort.Tensor('float32', data, shape);
}

const cpu = () => process.cpuUsage().user + process.cpuUsage().system;
const mb = () => process.memoryUsage().rss / 1048576;
const answer = (values) => process.stdout.write(JSON.stringify(values) + '\n');

async function measure(session, batch, rows, tokens, runs) {
  const feeds = { x: noise(batch, rows, INPUT), e: noise(batch, tokens, SIZE) };
  const wall = [];
  const busy = [];
  await session.run(feeds); // the first one of a shape allocates
  for (let i = 0; i < runs; i++) {
    const from = [performance.now(), cpu()];
    await session.run(feeds);
    wall.push(performance.now() - from[0]);
    busy.push((cpu() - from[1]) / 1000);
  }
  return { wall_ms: wall, cpu_ms: busy, rss_mb: mb() };
}

async function main([file, threads]) {
  const start = performance.now();
  const session = await ort.InferenceSession.create(file, {
    intraOpNumThreads: Number(threads),
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
  });
  answer({ version: ort.env.versions.node, load_ms: performance.now() - start, rss_mb: mb() });
  for await (const line of readline.createInterface({ input: process.stdin })) {
    answer(await measure(session, ...line.trim().split(' ').map(Number)));
  }
}

main(process.argv.slice(2));
