/* pinna-microphone.js - the browser's microphone as 16-bit samples, for pinna.js. */
import { Emitter } from './pinna-emitter.js';

const WORKLET = new URL('pcm-worklet.js', import.meta.url);

/** What getUserMedia() fails with, as codes of ours. */
const CODES = {
    NotAllowedError: 'denied', SecurityError: 'denied', NotFoundError: 'missing', OverconstrainedError: 'missing',
    NotReadableError: 'busy', AbortError: 'busy',
};

/** `code`: insecure, unsupported, denied, missing, busy. */
export class MicrophoneError extends Error {
    constructor(code, cause) {
        super(cause?.message || code, { cause });
        this.code = code;
    }
}

/**
 * Events: `audio` {pcm: Int16Array, peak, rms: of 1}, for each chunk; `lost` {} when the device went away.
 */
export class Microphone extends Emitter {
    /**
     * @param {object} [options]
     * @param {number} [options.rate] Hz of the samples wanted
     * @param {number} [options.chunkMs] length of the pieces in which they come
     * @param {boolean} [options.processing] let the browser suppress noise and level the volume
     * @param {string} [options.deviceId] which microphone; "": the browser's choice
     */
    constructor({ rate = 16000, chunkMs = 40, processing = false, deviceId = '' } = {}) {
        super();
        Object.assign(this, { rate, chunkMs, processing, deviceId });
    }

    /** @returns {'insecure'|'unsupported'|null} why there can be no microphone on this page */
    static problem() {
        if (!globalThis.isSecureContext) {
            return 'insecure'; /* neither https nor localhost */
        }
        return navigator.mediaDevices?.getUserMedia && globalThis.AudioWorkletNode ? null : 'unsupported';
    }

    /** @returns {Promise<MediaDeviceInfo[]>} their names are empty until the user has allowed one of them */
    static async list() {
        const devices = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
        return devices.filter((d) => d.kind === 'audioinput');
    }

    get isOpen() {
        return Boolean(this.stream);
    }

    /** Asks the user if need be. Call it from a click or a key: a browser may keep audio back otherwise.
     * @throws {MicrophoneError} */
    async open() {
        if (this.isOpen) {
            return;
        }
        const problem = Microphone.problem();
        if (problem) {
            throw new MicrophoneError(problem);
        }
        try {
            this.stream = await navigator.mediaDevices.getUserMedia({ audio: this.constraints() });
            await this.connect();
        } catch (e) {
            await this.close();
            throw new MicrophoneError(CODES[e.name] ?? 'unsupported', e);
        }
    }

    constraints() {
        return {
            channelCount: 1, echoCancellation: this.processing, noiseSuppression: this.processing,
            autoGainControl: this.processing, ...(this.deviceId && { deviceId: { exact: this.deviceId } }),
        };
    }

    async connect() {
        this.context = new AudioContext({ latencyHint: 'interactive' });
        await Promise.all([this.context.audioWorklet.addModule(WORKLET), this.context.resume()]);
        this.node = new AudioWorkletNode(this.context, 'pinna-pcm', {
            channelCount: 1, channelCountMode: 'explicit',
            processorOptions: { rate: this.rate, chunk: Math.round((this.rate * this.chunkMs) / 1000) },
        });
        this.node.port.onmessage = ({ data }) => this.take(data);
        this.context.createMediaStreamSource(this.stream).connect(this.node);
        this.node.connect(this.context.destination); /* silent, but what leads nowhere may not run */
        this.stream.getAudioTracks()[0].onended = () => {
            this.close();
            this.emit('lost');
        };
    }

    take({ flushed, pcm, peak, rms }) {
        if (flushed) {
            this.flushed?.();
        } else {
            this.emit('audio', { pcm: new Int16Array(pcm), peak, rms });
        }
    }

    /** Resolves when all that was heard so far has come as `audio`. */
    flush() {
        return new Promise((resolve) => {
            this.flushed?.();
            this.flushed = resolve;
            if (this.node) {
                this.node.port.postMessage('flush');
            } else {
                resolve();
            }
        });
    }

    async close() {
        const { stream, context } = this;
        this.stream = this.context = this.node = null;
        stream?.getTracks().forEach((track) => track.stop());
        await context?.close();
        this.flushed?.();
    }
}
