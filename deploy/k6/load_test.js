// load_test.js - push-to-talk speakers by k6 (https://k6.io): 10 of them for 30 s, each talking and waiting for
// its text again and again.
//
//     k6 run deploy/k6/load_test.js
//     k6 run -e URL=wss://server:9999/ws/asr -e VUS=50 -e DURATION=2m -e WAV=talk.wav deploy/k6/load_test.js
//
// URL       where the server listens (ws://localhost:9999/ws/asr)
// WAV       what is said: a WAV file of 16 kHz, mono, 16 bit; else a tone that comes and goes
// VUS       speakers at once (10); the server takes MAX_CONNECTIONS (20)
// DURATION  how long (30s)
// SECONDS   length of an utterance (3)
//
// A speaker sends 100 ms of audio every 100 ms, as a microphone does. Besides k6's own figures it measures the time
// from the first audio to the first text and from the stop to the final text. bench/live measures more.
import encoding from 'k6/encoding';
import { check } from 'k6';
import { Counter, Rate, Trend } from 'k6/metrics';
import ws from 'k6/ws';

const URL = __ENV.URL || 'ws://localhost:9999/ws/asr';
const SECONDS = Number(__ENV.SECONDS || 3);
const RATE = 16000;
const FRAME_MS = 100;
const FRAME_BYTES = (2 * RATE * FRAME_MS) / 1000;
const PATIENCE_MS = 30000;

export const options = {
    vus: Number(__ENV.VUS || 10),
    duration: __ENV.DURATION || '30s',
    thresholds: {
        checks: ['rate>0.99'],
        pinna_failed: ['rate<0.01'],
        pinna_final_ms: ['p(95)<2000'],
    },
};

const firstMs = new Trend('pinna_first_text_ms', true);
const finalMs = new Trend('pinna_final_ms', true);
const utterances = new Counter('pinna_utterances');
const refused = new Counter('pinna_refused');
const failed = new Rate('pinna_failed');

// 440 Hz, three syllables a second.
function tone(seconds) {
    const samples = new Int16Array(Math.floor(seconds * RATE));
    for (let i = 0; i < samples.length; i++) {
        const loud = Math.max(0, Math.sin((2 * Math.PI * 3 * i) / RATE));
        samples[i] = Math.round(8000 * loud * Math.sin((2 * Math.PI * 440 * i) / RATE));
    }
    return samples.buffer;
}

// The samples of a plain WAV file; k6's open() works only here, before the speakers begin.
function samplesOf(wav) {
    const view = new DataView(wav);
    const id = (at) => String.fromCharCode(...new Uint8Array(wav, at, 4));
    if (wav.byteLength < 12 || id(0) !== 'RIFF' || id(8) !== 'WAVE') {
        throw new Error('WAV: this is no WAV file');
    }
    for (let at = 12; at + 8 <= wav.byteLength; at += 8 + view.getUint32(at + 4, true) + (view.getUint32(at + 4, true) & 1)) {
        if (id(at) === 'data') {
            return wav.slice(at + 8, Math.min(at + 8 + view.getUint32(at + 4, true), wav.byteLength));
        }
    }
    throw new Error('WAV: there are no samples');
}

const audio = __ENV.WAV ? samplesOf(open(__ENV.WAV, 'b')) : tone(SECONDS);
const frames = [];
for (let at = 0; at < Math.min(audio.byteLength, SECONDS * RATE * 2); at += FRAME_BYTES) {
    frames.push(encoding.b64encode(audio.slice(at, at + FRAME_BYTES)));
}

function talk(socket) {
    let sent = 0;
    let began = 0;
    let stopped = 0;
    let heard = false;

    const send = (message) => socket.send(JSON.stringify({ ...message, timestamp: Date.now() }));
    const end = (good) => {
        failed.add(!good);
        socket.close();
    };

    socket.on('open', () => {
        send({ type: 'control', command: 'start' });
        began = Date.now();
        socket.setInterval(() => {
            if (sent < frames.length) {
                send({ type: 'audio', data: frames[sent] });
                sent += 1;
            } else if (!stopped) {
                send({ type: 'control', command: 'stop' });
                stopped = Date.now();
            }
        }, FRAME_MS);
    });
    socket.on('message', (text) => {
        const message = JSON.parse(text);
        if (message.type === 'result' && !heard) {
            heard = true;
            firstMs.add(Date.now() - began);
        } else if (message.type === 'final') {
            finalMs.add(Date.now() - stopped);
            utterances.add(1);
            check(message, { 'a final result has text and segments': (m) => typeof m.text === 'string' && Array.isArray(m.segments) });
            end(true);
        } else if (message.type === 'error') {
            refused.add(message.code === 503 ? 1 : 0);
            end(false);
        }
    });
    socket.on('error', () => end(false));
    socket.setTimeout(() => end(false), SECONDS * 1000 + PATIENCE_MS);
}

export default function () {
    const response = ws.connect(URL, {}, talk);
    check(response, { 'the connection was upgraded': (r) => r && r.status === 101 });
}
