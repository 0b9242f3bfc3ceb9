/* pcm-worklet.js - the part of pinna.js that runs on the browser's audio thread: samples at the device's rate in,
 * 16-bit samples at the wanted rate out, in chunks, each with its level.
 *
 * Messages to it: 'flush' sends what is held at once and answers {flushed: true}. From it: {pcm: ArrayBuffer of
 * 16-bit samples, peak and rms: of 1}. */

const ZERO_CROSSINGS = 16; /* of the kernel on each side: the more, the steeper the filter */
const STEPS = 128; /* kernel values for each input sample; between them we interpolate */

/** Windowed-sinc resampling between any two rates, with the low-pass that going down needs. */
class Resampler {
    constructor(from, to) {
        const cutoff = Math.min(1, to / from) * 0.94; /* of the input's Nyquist frequency */
        this.step = from / to;
        this.half = Math.ceil(ZERO_CROSSINGS / cutoff);
        this.kernel = Resampler.kernel(cutoff, this.half);
        this.held = new Float32Array(this.half); /* silence before the first sample */
        this.at = this.half; /* of the next output in `held`, a fraction */
    }

    static kernel(cutoff, half) {
        const table = new Float32Array(half * STEPS + 2);
        for (let i = 0; i < half * STEPS; i++) {
            const x = (i / STEPS) * cutoff * Math.PI;
            const window = 0.5 + 0.5 * Math.cos((Math.PI * i) / (half * STEPS));
            table[i] = cutoff * window * (i === 0 ? 1 : Math.sin(x) / x);
        }
        return table;
    }

    /** The sample at `at`, which has `half` samples on both sides. */
    sample(at) {
        const { held, kernel, half } = this;
        const first = Math.ceil(at - half);
        const last = Math.floor(at + half);
        let sum = 0;
        for (let i = Math.max(0, first); i <= last; i++) {
            const x = Math.abs(at - i) * STEPS;
            const k = Math.floor(x);
            sum += held[i] * (kernel[k] + (kernel[k + 1] - kernel[k]) * (x - k));
        }
        return sum;
    }

    /** Calls `take(sample)` for each output sample that `input` completes. */
    push(input, take) {
        const held = new Float32Array(this.held.length + input.length);
        held.set(this.held);
        held.set(input, this.held.length);
        this.held = held;
        for (; this.at + this.half < held.length; this.at += this.step) {
            take(this.sample(this.at));
        }
        const old = Math.max(0, Math.floor(this.at - this.half));
        this.held = held.slice(old);
        this.at -= old;
    }
}

class PinnaPcm extends AudioWorkletProcessor {
    constructor({ processorOptions: { rate, chunk } }) {
        super();
        this.resampler = rate === sampleRate ? null : new Resampler(sampleRate, rate);
        this.pcm = new Int16Array(chunk);
        this.take = this.take.bind(this);
        this.begin();
        this.port.onmessage = () => {
            this.send();
            this.port.postMessage({ flushed: true });
        };
    }

    begin() {
        this.n = 0;
        this.peak = 0;
        this.energy = 0;
    }

    take(x) {
        const v = Math.max(-1, Math.min(1, x));
        this.pcm[this.n++] = v < 0 ? v * 32768 : v * 32767;
        this.peak = Math.max(this.peak, Math.abs(v));
        this.energy += v * v;
        if (this.n === this.pcm.length) {
            this.send();
        }
    }

    send() {
        if (this.n > 0) {
            const pcm = this.pcm.slice(0, this.n).buffer;
            this.port.postMessage({ pcm, peak: this.peak, rms: Math.sqrt(this.energy / this.n) }, [pcm]);
        }
        this.begin();
    }

    /** One block of the first channel; the microphone is asked for mono. */
    process([input]) {
        if (input.length > 0) {
            if (this.resampler) {
                this.resampler.push(input[0], this.take);
            } else {
                input[0].forEach(this.take);
            }
        }
        return true;
    }
}

registerProcessor('pinna-pcm', PinnaPcm);
