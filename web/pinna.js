/* pinna.js - speech to text in the browser with a Pinna server: a client for its three socket protocols, and the
 * microphone. ES modules without dependencies; pinna-*.js and pcm-worklet.js must lie beside this one.
 *
 *     const client = new PinnaClient({ url: 'https://speech.example/', protocol: 'ptt' });
 *     const microphone = new Microphone();
 *     client.on('partial', ({ text }) => show(text));
 *     client.on('final', ({ text, segments }) => keep(text, segments));
 *     client.on('error', ({ code, message }) => complain(code, message));
 *     microphone.on('audio', ({ pcm }) => client.feed(pcm));
 *     await microphone.open();
 *     client.start();                    the button goes down
 *     await microphone.flush();          it comes up
 *     client.stop();
 */
import { Emitter } from './pinna-emitter.js';
import { PROTOCOLS } from './pinna-protocols.js';

export { Microphone, MicrophoneError } from './pinna-microphone.js';

const RETRY_MS = 500; /* before the first new try to connect; doubles */
const BACKLOG_S = 30; /* audio kept while there is no connection, or the utterance before is being answered */
const SEND_MAX = 1 << 20; /* bytes that may wait for a slow network */
const ANSWER_MS = 30000; /* without a word from the server after stop(): it has failed */
const REFUSED = [1008, 1013]; /* closing codes of a server that is full */

/**
 * @typedef {object} PinnaOptions
 * @property {string} [url] of the server; its path is kept in front of the protocol's. Default: this page's
 * @property {'ptt'|'funasr'|'realtime'} [protocol] /ws/asr, FunASR's, OpenAI's Realtime
 * @property {boolean} [vad] silence ends sentences, any number of them until stop(); else start to stop is one
 * @property {string} [model] "": the server's choice; FunASR's protocol knows no models
 * @property {string} [language] "": found out
 * @property {string} [hotwords] likely words, blanks between
 * @property {boolean} [interim] text while somebody speaks (ptt)
 * @property {'2pass'|'online'|'offline'} [funasrMode]
 * @property {number} [sampleRate] of what is fed
 * @property {number} [retries] further tries to connect
 */

/**
 * A connection is opened when it is needed and kept until close(). Audio that is fed before it is open waits.
 *
 * Events, each with a detail:
 * - `state` {state}: closed, connecting, ready, talking, waiting (for the answer after stop)
 * - `partial` {utterance, sentence, text}: of an open sentence so far
 * - `final` {utterance, sentence, text, segments: [{start, end, text}], language, confidence, audio_ms, processing_ms,
 *   first_ms, final_ms}: seconds from start(). first_ms is the time from the press, with `vad` from the beginning
 *   of the sentence, to its first text; final_ms that from stop(), with `vad` from the end of the sentence, to this
 * - `end` {utterance}: no more comes for it
 * - `error` {utterance, code, message}: ends the utterance. connect (no connection), full, lost (in the middle),
 *   slow (network), timeout, server (message says it)
 * - `retry` {in_ms}
 * - `close` {code, reason}
 * - `message` {out, bytes, text}: what crosses the wire; `text` is null for audio
 */
export class PinnaClient extends Emitter {
    #socket = null;
    #adapter = null;
    #utterances = []; /* the first is being served */
    #count = 0;
    #tries = 0;
    #retry = 0; /* timers */
    #watch = 0;
    #state = 'closed';

    /** @param {PinnaOptions} [options] may be changed between utterances, but for the protocol */
    constructor(options = {}) {
        super();
        this.options = {
            url: location.href, protocol: 'ptt', vad: false, model: '', language: '', hotwords: '', interim: true,
            funasrMode: '2pass', sampleRate: 16000, retries: 2, ...options,
        };
        if (!PROTOCOLS[this.options.protocol]) {
            throw new RangeError(`no protocol ${this.options.protocol}`);
        }
    }

    get state() {
        return this.#state;
    }

    /** Begins an utterance: its number, which the events carry. */
    start() {
        const utterance = {
            number: ++this.#count, options: { ...this.options }, served: false, stopped: 0, first: new Map(),
            began: performance.now(), audio: [], fed: 0, samples: 0, base: 0,
        };
        this.#utterances.push(utterance);
        this.#tries = 0;
        this.#advance();
        return utterance.number;
    }

    /**
     * Audio of the utterance that was started last; ignored after stop().
     * @param {Int16Array} pcm mono, options.sampleRate
     */
    feed(pcm) {
        const u = this.#utterances.at(-1);
        if (!u || u.stopped) {
            return;
        }
        u.samples += pcm.length;
        u.fed = performance.now();
        if (u.served) {
            this.#adapter.audio(pcm);
            if (this.#socket.bufferedAmount > SEND_MAX) {
                this.#fail('slow');
            }
        } else if (u.audio.reduce((n, a) => n + a.length, 0) < BACKLOG_S * u.options.sampleRate) {
            u.audio.push(pcm);
        } else {
            this.#fail('slow');
        }
    }

    /** Ends the utterance; its text comes as `final`. */
    stop() {
        const u = this.#utterances.at(-1);
        if (u && !u.stopped) {
            u.stopped = performance.now();
            if (u.served) {
                this.#adapter.stop();
                this.#expectAnswer();
            }
            this.#tellState();
        }
    }

    /** Throws away what was said since start(); no event comes for it. */
    reset() {
        const u = this.#utterances.pop();
        if (u?.served && u.stopped) {
            this.#drop(); /* its answer may be on the way, and would be taken for the next one's */
        } else if (u?.served) {
            this.#adapter.reset();
        }
        this.#advance();
    }

    /** Ends everything, without a result. */
    close() {
        this.#utterances = [];
        clearTimeout(this.#retry);
        this.#retry = 0;
        this.#drop();
    }

    /* ---- utterances, one after the other -------------------------------------------------------------- */

    #advance() {
        const u = this.#utterances[0];
        clearTimeout(this.#watch);
        if (u && !this.#adapter) {
            this.#connect();
        } else if (u && !u.served) {
            this.#serve(u);
        }
        this.#tellState();
    }

    #serve(u) {
        u.served = true;
        this.#adapter.start(u.options);
        u.audio.splice(0).forEach((pcm) => this.#adapter.audio(pcm));
        if (u.stopped) {
            this.#adapter.stop();
            this.#expectAnswer();
        }
    }

    #expectAnswer() {
        clearTimeout(this.#watch);
        this.#watch = setTimeout(() => {
            this.#drop();
            this.#fail('timeout');
        }, ANSWER_MS);
    }

    #end() {
        const u = this.#utterances.shift();
        if (u) {
            this.emit('end', { utterance: u.number });
            this.#advance();
        }
    }

    /** The utterance being served is over, with an error. */
    #fail(code, message = '') {
        const u = this.#utterances.shift();
        if (u?.served && !u.stopped) {
            this.#adapter?.reset();
        }
        this.emit('error', { utterance: u?.number, code, message });
        if (u) {
            this.emit('end', { utterance: u.number });
        }
        this.#advance();
    }

    /** On performance.now()'s clock, when what is at `seconds` of the utterance was said. */
    static #saidAt(u, seconds) {
        return u.fed - (u.samples / u.options.sampleRate - seconds) * 1000;
    }

    #partial(text, sentence = 0) {
        const u = this.#utterances[0];
        if (u && text) {
            if (!u.first.has(sentence)) {
                u.first.set(sentence, performance.now());
            }
            this.emit('partial', { utterance: u.number, sentence, text });
        }
    }

    #final({ text, segments: heard = [], sentence = 0, ...more }) {
        const u = this.#utterances[0];
        if (!u) {
            return;
        }
        const now = performance.now();
        const base = u.base / u.options.sampleRate;
        const segments = heard.map((s) => ({ ...s, start: s.start + base, end: s.end + base }));
        const vad = u.options.vad && segments.length > 0;
        const from = vad ? PinnaClient.#saidAt(u, segments[0].start) : u.began;
        const until = u.stopped || (vad ? PinnaClient.#saidAt(u, segments.at(-1).end) : now);
        const first = u.first.get(sentence);
        u.first.delete(sentence);
        this.emit('final', {
            utterance: u.number, sentence, text, segments, ...more, final_ms: Math.max(0, now - until),
            first_ms: first ? Math.max(0, first - from) : null,
        });
        this.#tries = 0;
        if (u.stopped) {
            this.#expectAnswer();
        }
    }

    #tellState() {
        const u = this.#utterances.at(-1);
        let state = u?.stopped ? 'waiting' : 'talking';
        if (!u || !this.#adapter) {
            state = this.#adapter ? 'ready' : this.#socket || this.#retry ? 'connecting' : 'closed';
        }
        if (state !== this.#state) {
            this.#state = state;
            this.emit('state', { state });
        }
    }

    /* ---- the connection ------------------------------------------------------------------------------- */

    #connect() {
        if (this.#socket || this.#retry) {
            return;
        }
        const { path, subprotocols = [] } = PROTOCOLS[this.options.protocol];
        const url = new URL(path, this.options.url);
        if (this.options.protocol === 'realtime' && this.options.model) {
            url.searchParams.set('model', this.options.model);
        }
        url.protocol = url.protocol.replace('http', 'ws');
        const socket = new WebSocket(url, subprotocols);
        socket.binaryType = 'arraybuffer';
        socket.onopen = () => this.#opened();
        socket.onmessage = ({ data }) => this.#received(data);
        socket.onclose = (event) => this.#closed(event);
        this.#socket = socket;
    }

    #opened() {
        this.#adapter = new PROTOCOLS[this.options.protocol]({
            send: (message) => this.#send(message),
            partial: (text, sentence) => this.#partial(text, sentence),
            final: (result) => this.#final(result),
            ended: () => this.#end(),
            error: (code, message) => this.#fail(code, message),
            drop: () => this.#drop(),
        });
        this.#advance();
    }

    #send(message) {
        if (this.#socket.readyState !== WebSocket.OPEN) {
            return; /* it is closing, and #closed() will say so */
        }
        const binary = message instanceof Int16Array;
        const data = binary ? message : JSON.stringify(message);
        this.#socket.send(data);
        this.#tellMessage(true, data);
    }

    #received(data) {
        this.#tellMessage(false, data);
        let message = null;
        try {
            message = JSON.parse(data);
        } catch {
            /* judged below */
        }
        if (message === null || typeof message !== 'object') {
            this.#fail('server', 'an answer that is no JSON object');
        } else {
            this.#adapter?.message(message);
        }
    }

    #tellMessage(out, data) {
        const text = typeof data === 'string' ? data : null;
        const bytes = text === null ? data.byteLength : new TextEncoder().encode(text).length;
        this.emit('message', { out, bytes, text });
    }

    /** Closes the connection and forgets it: what it still says is not heard. */
    #drop() {
        const socket = this.#socket;
        this.#socket = this.#adapter = null;
        if (socket) {
            socket.onopen = socket.onmessage = socket.onclose = null;
            socket.close(1000);
            this.emit('close', { code: 1000, reason: '' });
        }
        this.#tellState();
    }

    #closed({ code, reason }) {
        const was = Boolean(this.#adapter);
        this.#socket = this.#adapter = null;
        this.emit('close', { code, reason });
        const u = this.#utterances[0];
        if (u && this.#mayRetry(u, was, code)) {
            const wait = RETRY_MS << this.#tries++;
            this.#retry = setTimeout(() => {
                this.#retry = 0;
                this.#advance();
            }, wait);
            this.emit('retry', { in_ms: wait });
        } else if (u) {
            this.#fail(REFUSED.includes(code) ? 'full' : was ? 'lost' : 'connect', reason);
        }
        this.#tellState();
    }

    /** What was said in the middle of a sentence cannot be said again; free talk goes on with the next one. */
    #mayRetry(u, was, code) {
        if (REFUSED.includes(code) || this.#tries >= u.options.retries || (was && !(u.options.vad && !u.stopped))) {
            return false;
        }
        Object.assign(u, { served: false, first: new Map(), base: u.samples });
        return true;
    }
}
