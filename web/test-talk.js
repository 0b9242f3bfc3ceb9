/* test-talk.js - speaking, on the test page: the button, the space bar, the microphone, and the client. */
import { Microphone, PinnaClient } from './pinna.js';
import { t } from './test-text.js';

const PATHS = { ptt: '/ws/asr', funasr: '/', realtime: '/v1/realtime' };
const IDLE_MS = 60000; /* then the connection goes: the server has few */
const EDITABLE = 'input, textarea, select, button, a, summary, [contenteditable]';

/** Why the socket did not open: a script is not told, but it may ask over HTTP. */
async function whyNot(protocol) {
    try {
        const { status } = await fetch('ready', { cache: 'no-store' });
        return status === 503 ? () => t('error.draining') : () => t('error.socket', { path: PATHS[protocol] });
    } catch {
        return () => t('error.refused', { host: location.host });
    }
}

export class Talk {
    #client = null;
    #protocol = '';
    #microphone = null;
    #open = new Map(); /* utterance -> {vad, protocol, began, results: sentence -> the card that is open} */
    #pressed = false;
    #utterance = 0; /* being spoken; 0: none */
    #stopping = null; /* resolves when what was said last has gone to the client */
    #idle = 0;

    /**
     * @param {{button: HTMLButtonElement, hint: Element, state: Element, off: HTMLButtonElement, scope: object,
     *     log: object, results: object, settings: () => object, complain: Function}} parts
     */
    constructor(parts) {
        Object.assign(this, parts);
        this.watchButton();
        this.watchSpace();
        this.off.onclick = () => this.closeMicrophone();
        addEventListener('blur', () => this.letGo());
        document.addEventListener('visibilitychange', () => document.hidden && this.letGo());
        this.render();
    }

    get free() {
        return this.settings().mode === 'free';
    }

    /* ---- button and space bar -------------------------------------------------------------------------- */

    watchButton() {
        const { button } = this;
        button.onpointerdown = (event) => {
            if (!this.free && event.button === 0) {
                button.setPointerCapture(event.pointerId);
                this.press();
            }
        };
        button.onpointerup = button.onpointercancel = button.onlostpointercapture = () => this.letGo();
        button.oncontextmenu = (event) => event.preventDefault(); /* a long touch */
        button.onclick = (event) => {
            if (this.free || event.detail === 0) { /* 0: Enter, or a screen reader: nobody holds */
                this.toggle();
            }
        };
    }

    /** The space bar is the button, unless something else wants it. */
    watchSpace() {
        const ours = ({ code, target }) =>
            code === 'Space' && (target === this.button || !target.closest?.(EDITABLE));
        document.addEventListener('keydown', (event) => {
            if (ours(event)) {
                event.preventDefault();
                if (!event.repeat) {
                    this[this.free ? 'toggle' : 'press']();
                }
            }
        });
        document.addEventListener('keyup', (event) => {
            if (ours(event)) {
                event.preventDefault();
                this.letGo();
            }
        });
    }

    toggle() {
        if (this.#pressed) {
            this.release();
        } else {
            this.press();
        }
    }

    /** What ends holding does not end free talk. */
    letGo() {
        if (!this.free) {
            this.release();
        }
    }

    async press() {
        if (this.#pressed) {
            return;
        }
        this.#pressed = true;
        this.complain(null);
        this.render();
        if (await this.openMicrophone()) {
            await this.#stopping; /* pressed again at once */
            if (this.#pressed && !this.#utterance) {
                this.begin();
            } else if (!this.#pressed) {
                this.hint.textContent = t('hint.ready'); /* let go while the browser asked */
            }
        } else {
            this.#pressed = false;
        }
        this.render(!this.#pressed);
    }

    async release() {
        if (this.#pressed) {
            this.#pressed = false;
            this.render();
            this.#stopping = this.finish();
        }
        await this.#stopping;
    }

    async finish() {
        if (this.#utterance) {
            await this.#microphone?.flush();
            this.#utterance = 0;
            this.#client.stop();
        }
    }

    /* ---- microphone ------------------------------------------------------------------------------------ */

    async openMicrophone() {
        const { deviceId, processing } = this.settings();
        const have = this.#microphone;
        if (have && have.deviceId === deviceId && have.processing === processing) {
            return have.isOpen || have.opening;
        }
        await have?.close();
        const microphone = new Microphone({ deviceId, processing });
        this.#microphone = microphone;
        microphone.on('audio', (chunk) => this.#microphone === microphone && this.hear(chunk));
        microphone.on('lost', () => {
            this.closeMicrophone();
            this.complain(() => t('error.device'));
        });
        this.hint.textContent = t('hint.asking');
        microphone.opening = microphone.open().then(() => true, (e) => this.noMicrophone(e.code));
        const opened = await microphone.opening;
        this.off.hidden = !opened;
        if (opened) {
            this.opened?.();
        }
        return opened;
    }

    noMicrophone(code) {
        this.#microphone = null;
        this.complain(() => t(`error.${code}`, { local: `http://localhost:${location.port || 80}/test` }));
        return false;
    }

    async closeMicrophone() {
        const microphone = this.#microphone;
        await this.release();
        this.#microphone = null;
        this.off.hidden = true;
        this.scope.clear();
        await microphone?.close();
    }

    hear(chunk) {
        this.scope.add(chunk, this.#utterance > 0);
        if (this.#utterance) {
            this.#client.feed(chunk.pcm);
        }
    }

    /* ---- client ---------------------------------------------------------------------------------------- */

    begin() {
        const { protocol, mode, ...options } = this.settings();
        if (this.#protocol !== protocol) {
            this.#client?.close();
            this.#client = this.connect(protocol);
            this.#protocol = protocol;
        }
        const vad = mode === 'free';
        Object.assign(this.#client.options, options, { vad });
        clearTimeout(this.#idle);
        this.#utterance = this.#client.start();
        this.#open.set(this.#utterance, { vad, protocol, began: Date.now(), results: new Map() });
        if (!vad) {
            this.result(this.#utterance);
        }
    }

    connect(protocol) {
        const client = new PinnaClient({ protocol });
        client.on('partial', ({ utterance, sentence, text }) => {
            this.results.partial(this.result(utterance, sentence), text);
        });
        client.on('final', (final) => this.settle(final));
        client.on('end', ({ utterance }) => this.ended(utterance));
        client.on('error', (error) => this.failed(error));
        client.on('state', () => this.render());
        client.on('retry', ({ in_ms: ms }) => {
            this.state.textContent = t('state.retry', { seconds: (ms / 1000).toFixed(1) });
        });
        client.on('message', (message) => this.log.add(message));
        client.on('close', (end) => this.log.note(t('log.closed', end)));
        return client;
    }

    /** The card of a sentence that is open. While the button is held there is but one. */
    result(utterance, sentence) {
        const u = this.#open.get(utterance);
        const key = u.vad ? sentence : 'held';
        if (!u.results.has(key)) {
            const about = { source: u.vad ? 'free' : 'hold', label: PATHS[u.protocol], began: u.began };
            u.results.set(key, this.results.begin(about));
        }
        return u.results.get(key);
    }

    settle({ utterance, sentence, text, segments, language, confidence, ...times }) {
        const u = this.#open.get(utterance);
        if (u.vad && !text && !u.results.has(sentence)) {
            return;
        }
        const result = this.result(utterance, sentence);
        const { audio_ms: audio, processing_ms: took } = times;
        const mode = u.vad ? 'free' : 'hold';
        const seconds = audio === undefined ? segments.at(-1)?.end ?? 0 : audio / 1000;
        this.results.settle(result, {
            text, segments, language, seconds, confidence,
            latency: { first_ms: times.first_ms, final_ms: times.final_ms, processing_ms: took },
        }, [
            [`fact.first.${mode}`, times.first_ms ?? NaN, 'ms'], [`fact.final.${mode}`, times.final_ms, 'ms'],
            ['fact.server', took, 'ms'], ['fact.audio', audio / 1000, 's'], ['fact.confidence', text ? confidence : NaN, ''],
        ]);
        u.results.delete(u.vad ? sentence : 'held');
    }

    ended(utterance) {
        this.#open.get(utterance).results.forEach((result) => this.results.discard(result));
        this.#open.delete(utterance);
        if (this.#utterance === utterance) {
            this.#utterance = 0;
            this.#pressed = false;
        }
        clearTimeout(this.#idle);
        this.#idle = setTimeout(() => this.#open.size || this.#client.close(), IDLE_MS);
        this.render();
    }

    async failed({ utterance, code, message }) {
        const open = this.#open.get(utterance)?.results;
        const results = [...(open?.values() ?? [])];
        open?.clear(); /* they stay, and say why */
        const why = code === 'connect' ? await whyNot(this.#protocol) : () => t(`error.${code}`, { message });
        results.forEach((result) => this.results.fail(result, why));
        this.complain(why);
    }

    /* ---- what is shown --------------------------------------------------------------------------------- */

    /** @param {boolean} [keep] the hint stays */
    render(keep = false) {
        const { free, button } = this;
        const on = this.#pressed;
        button.classList.toggle('on', on);
        const key = free ? (on ? 'talk.stop' : 'talk.start') : on ? 'talk.holding' : 'talk.hold';
        button.querySelector('[data-name]').textContent = t(key);
        const state = this.#client?.state ?? 'closed';
        this.state.dataset.state = state;
        this.state.textContent = t(`state.${state}`);
        if (!keep) {
            this.hint.textContent = t(free ? 'hint.free' : 'hint.hold');
        }
    }
}
