// realtime.mjs FOLDER CLIP - OpenAI's SDK, installed in FOLDER, talks to the server of BASE_URL; CLIP is 24 kHz
// 16-bit PCM. What it saw is printed as one JSON object, for test_openai_realtime.py to judge.
import { createRequire } from 'node:module';
import fs from 'node:fs';
import path from 'node:path';

const [folder, clip] = process.argv.slice(2);
const require = createRequire(path.join(path.resolve(folder), 'x.js'));
const { OpenAI, BadRequestError } = require('openai');
const { OpenAIRealtimeWS } = require('openai/realtime/ws');

const TRANSCRIPTION = 'conversation.item.input_audio_transcription.';
const baseURL = process.env.BASE_URL;
const client = new OpenAI({ baseURL, apiKey: 'sk-any', maxRetries: 0 });

// A session whose events are kept; `act` says what to do at which, and ends it with close().
function talk(apiClient, act) {
  return new Promise((resolve, reject) => {
    const rt = new OpenAIRealtimeWS({ model: 'gpt-realtime' }, apiClient);
    const seen = { events: [], errors: [] };
    rt.on('event', (event) => seen.events.push(event));
    rt.on('error', (error) => {
      if (!error.error) reject(error);
      seen.errors.push({ message: error.message, error: error.error });
      act(rt, { type: 'error' });
    });
    rt.on('event', (event) => event.type !== 'error' && act(rt, event));
    rt.socket.on('close', (code) => resolve({ ...seen, code }));
  });
}

function append(rt, pcm) {
  for (let i = 0; i < pcm.length; i += 4800) {
    rt.send({ type: 'input_audio_buffer.append', audio: pcm.subarray(i, i + 4800).toString('base64') });
  }
}

const input = (turn_detection) => ({
  type: 'transcription',
  audio: {
    input: {
      format: { type: 'audio/pcm', rate: 24000 },
      transcription: { model: 'gpt-4o-transcribe', language: 'zh', delay: 'low' },
      turn_detection,
    },
  },
});

const steps = {
  'session.created': (rt) => rt.send({ type: 'session.update', session: input({ type: 'server_vad' }) }),
  'session.updated': (rt) => rt.send({ type: 'response.create', event_id: 'my_event' }),
  error: (rt) => {
    append(rt, fs.readFileSync(clip));
    append(rt, Buffer.alloc(2 * 24000 * 1.5));
  },
  [TRANSCRIPTION + 'completed']: (rt) => rt.close(),
};
const spoken = await talk(client, (rt, event) => steps[event.type]?.(rt));

const secret = await client.realtime.clientSecrets.create({
  expires_after: { anchor: 'created_at', seconds: 60 },
  session: input(null),
});
const refusal = await client.realtime.clientSecrets.create({ expires_after: { seconds: 1 } }).catch((e) => ({
  isBadRequest: e instanceof BadRequestError,
  param: e.param,
  requestID: e.requestID,
}));
const bearer = new OpenAI({ baseURL, apiKey: secret.value });
const withSecret = await talk(bearer, (rt) => rt.close());
const stranger = await talk(new OpenAI({ baseURL, apiKey: 'ek_unknown' }), () => {}).catch((e) => e.message);

console.log(JSON.stringify({ spoken, secret, refusal, withSecret, stranger }));
