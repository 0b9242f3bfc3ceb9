/* pinna-protocols.js - Pinna's three socket protocols, for pinna.js.
 *
 * An adapter turns start, audio, stop and reset into messages and the server's messages into
 *     link.partial(text, sentence)      the text so far of a sentence that is open; which one
 *     link.final({text, segments, sentence, ...}) a sentence, or the utterance
 *     link.ended()                      nothing more will come for this utterance
 *     link.error(code, message)         the utterance has failed
 *     link.drop()                       this connection is of no more use
 * One lives as long as its connection. Times are seconds from the start of the utterance. */

/** /ws/asr. The words of the statuses are part of the protocol. */
class PushToTalk {
    static path = 'ws/asr';

    constructor(link) {
        this.link = link;
        this.heard = false; /* our start was answered; what comes before that is of an utterance given up */
    }

    control(command, fields = {}) {
        this.link.send({ type: 'control', command, timestamp: Date.now(), ...fields });
    }

    start({ sampleRate, model, language, hotwords, interim, vad }) {
        Object.assign(this, { heard: false, vad, text: '' });
        this.control('start', {
            format: 'pcm_s16le', sample_rate: sampleRate, interim, vad,
            ...filled({ model, language, hotwords }),
        });
    }

    audio(pcm) {
        this.link.send(pcm);
    }

    stop() {
        this.control('stop');
    }

    reset() {
        this.heard = false;
        this.control('reset');
    }

    message(m) {
        if (m.type === 'status') {
            this.heard ||= m.message === '开始录音';
        } else if (m.type === 'error') {
            this.heard = false;
            this.link.error('server', m.message);
        } else if (m.type === 'result' && this.heard) {
            this.text = m.full_text ?? this.text + m.text;
            this.link.partial(this.text, m.sentence);
        } else if (m.type === 'final' && this.heard) {
            this.final(m);
        }
    }

    /** With `vad` the last one, which bears no number, says again all that was said. */
    final({ text, segments, language, confidence, sentence, audio_duration_ms: audio, processing_time_ms: took }) {
        if (sentence || !this.vad) {
            const more = { audio_ms: audio, processing_ms: took };
            this.link.final({ text, segments, language, confidence, sentence, ...more });
        }
        if (!sentence) {
            this.heard = false;
            this.link.ended();
        }
    }
}

/** FunASR's, at the root path. Without `vad` the sentences that the server cuts are put together again. */
class FunAsr {
    static path = './';

    constructor(link) {
        this.link = link;
    }

    start({ sampleRate, hotwords, vad, funasrMode }) {
        Object.assign(this, { vad, live: '', text: '', segments: [], sentences: 0 });
        this.link.send({
            mode: funasrMode, wav_name: 'microphone', wav_format: 'pcm', audio_fs: sampleRate, itn: true,
            chunk_size: [5, 10, 5], chunk_interval: 10, is_speaking: true, ...filled({ hotwords }),
        });
    }

    audio(pcm) {
        this.link.send(pcm);
    }

    stop() {
        this.link.send({ is_speaking: false });
    }

    reset() {
        this.link.drop(); /* the protocol has no word for it */
    }

    static segments({ text, stamp_sents: sentences, timestamp, start_time: start, end_time: end }) {
        if (sentences?.length) {
            return sentences.map((s) => ({
                start: s.start / 1000, end: s.end / 1000, text: s.text_seg.replaceAll(' ', '') + (s.punc ?? ''),
            }));
        }
        const stamps = timestamp ? JSON.parse(timestamp) : [];
        const from = start ?? stamps[0]?.[0];
        const to = end ?? stamps.at(-1)?.[1];
        return from === undefined || to === undefined ? [] : [{ start: from / 1000, end: to / 1000, text }];
    }

    message(m) {
        if (m.error) {
            this.link.error('server', m.error);
            return;
        }
        if (m.mode?.endsWith('online')) {
            this.live += m.text ?? '';
            this.link.partial(this.text + this.live, this.sentences);
        } else if (m.text || this.live) { /* nothing, if what was shown was nothing after all */
            this.sentence(m.text ?? '', FunAsr.segments(m));
        }
        if (m.is_final) {
            this.end();
        }
    }

    sentence(text, segments) {
        this.live = '';
        if (this.vad) {
            this.link.final({ text, segments, sentence: this.sentences++ });
        } else {
            this.text += text;
            this.segments.push(...segments);
            this.link.partial(this.text, 0);
        }
    }

    end() {
        const text = this.text + this.live;
        if (text || !this.vad) {
            this.link.final({ text, segments: this.segments, sentence: this.sentences });
        }
        this.link.ended();
    }
}

/** OpenAI's Realtime transcription. */
class Realtime {
    static path = 'v1/realtime?intent=transcription';
    static subprotocols = ['realtime'];

    constructor(link) {
        this.link = link;
        this.items = new Map(); /* id -> {text, segments, start, end}: announced, not completed */
        this.sent = 0; /* samples since the connection was opened: what the server's times count */
    }

    start({ sampleRate, model, language, hotwords, vad }) {
        Object.assign(this, { rate: sampleRate, from: this.sent, vad, stopping: false });
        this.items.clear();
        const keywords = hotwords ? hotwords.split(/\s+/).filter(Boolean) : undefined;
        const input = {
            format: { type: 'audio/pcm', rate: sampleRate },
            transcription: filled({ model, language, keywords }),
            turn_detection: vad ? { type: 'server_vad' } : null,
        };
        this.link.send({ type: 'session.update', session: { type: 'transcription', audio: { input } } });
    }

    audio(pcm) {
        this.sent += pcm.length;
        this.link.send({ type: 'input_audio_buffer.append', audio: base64(pcm) });
    }

    stop() {
        this.stopping = true;
        this.link.send({ type: 'input_audio_buffer.commit' });
    }

    reset() {
        this.items.clear();
        this.link.send({ type: 'input_audio_buffer.clear' });
    }

    seconds(ms) {
        return ms / 1000 - this.from / this.rate;
    }

    /** Announces an item. What comes of others is of an utterance given up. */
    announce(id, more = {}) {
        this.items.set(id, { text: '', segments: [], ...this.items.get(id), ...more });
    }

    message(m) {
        const what = m.type.replace('conversation.item.input_audio_transcription.', '');
        if (what === 'input_audio_buffer.speech_started') {
            this.announce(m.item_id, { start: this.seconds(m.audio_start_ms) });
        } else if (what === 'input_audio_buffer.speech_stopped') {
            this.announce(m.item_id, { end: this.seconds(m.audio_end_ms) });
        } else if (what === 'input_audio_buffer.committed') {
            this.announce(m.item_id);
        } else if (what === 'error') {
            this.failed(m.error);
        } else if (this.items.has(m.item_id)) {
            this.transcribed(what, m, this.items.get(m.item_id));
        }
    }

    transcribed(what, m, item) {
        if (what === 'delta') {
            item.text += m.delta;
            this.link.partial(item.text, m.item_id);
        } else if (what === 'segment') {
            const [start, end] = [m.start, m.end].map((s) => this.seconds(1000 * s));
            item.segments.push({ start, end, text: m.text });
        } else if (what === 'completed') {
            this.complete(m, item);
        } else if (what === 'failed') {
            this.items.delete(m.item_id);
            this.link.error('server', m.error.message);
        }
    }

    complete({ item_id: id, transcript: text, languages }, { segments, start = 0, end }) {
        const whole = text ? [{ start, end: end ?? (this.sent - this.from) / this.rate, text }] : [];
        this.items.delete(id);
        this.link.final({
            text, segments: segments.length ? segments : whole, sentence: id, language: languages?.[0]?.code,
        });
        this.finish();
    }

    /** Free talk may stop in silence, a button be let go at once: there is nothing to commit, and a refusal. */
    failed({ code, message }) {
        if (this.stopping && code === 'input_audio_buffer_commit_empty') {
            this.link.send({ type: 'input_audio_buffer.clear' });
            if (!this.vad) {
                this.link.final({ text: '', segments: [] });
            }
            this.finish();
        } else {
            this.link.error('server', message);
        }
    }

    finish() {
        if (this.stopping && this.items.size === 0) {
            this.link.ended();
        }
    }
}

/** The members that say something. */
function filled(object) {
    return Object.fromEntries(Object.entries(object).filter(([, v]) => v !== undefined && v !== null && v !== ''));
}

function base64(pcm) {
    const bytes = new Uint8Array(pcm.buffer, pcm.byteOffset, pcm.byteLength);
    let text = '';
    for (let i = 0; i < bytes.length; i += 4096) {
        text += String.fromCharCode(...bytes.subarray(i, i + 4096));
    }
    return btoa(text);
}

/** name -> adapter */
export const PROTOCOLS = { ptt: PushToTalk, funasr: FunAsr, realtime: Realtime };
