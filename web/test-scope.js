/* test-scope.js - what the microphone hears: the last seconds as a waveform, and a level meter. */
import { t } from './test-text.js';

const SECONDS = 6;
const CHUNK_MS = 40; /* a bar each */
const BARS = (SECONDS * 1000) / CHUNK_MS;
const FLOOR_DB = -60;
const CLIPPED = 0.98;
const METER_MS = 120; /* the number would flicker */
const CALM_MS = 500; /* between pictures, for people who want less motion */

export class Scope {
    #bars = []; /* {peak, live} */
    #drawing = false;
    #drawn = 0;
    #told = 0;
    #level = 0;

    constructor({ canvas, meter, value }) {
        Object.assign(this, { canvas, meter, value, fill: meter.firstElementChild });
        this.calm = matchMedia('(prefers-reduced-motion: reduce)');
        new ResizeObserver(() => this.draw()).observe(canvas);
    }

    /** A chunk was heard; `live`: it is part of an utterance. */
    add({ peak, rms }, live) {
        this.#bars.push({ peak, live });
        if (this.#bars.length > BARS) {
            this.#bars.shift();
        }
        this.#level = Math.max(rms, this.#level * 0.7);
        this.tell(peak);
        if (!this.#drawing && performance.now() - this.#drawn >= (this.calm.matches ? CALM_MS : 0)) {
            this.#drawing = true;
            requestAnimationFrame(() => this.draw());
        }
    }

    tell(peak) {
        const now = performance.now();
        const db = Math.max(FLOOR_DB, 20 * Math.log10(this.#level || 1e-9));
        this.fill.style.width = `${100 * (1 - db / FLOOR_DB)}%`;
        this.meter.classList.toggle('clipped', peak > CLIPPED);
        if (now - this.#told > METER_MS) {
            this.#told = now;
            this.meter.setAttribute('aria-valuenow', Math.round(db));
            this.value.textContent = peak > CLIPPED ? t('level.clipped') : t('level.value', { db: Math.round(db) });
        }
    }

    /** The microphone is off. */
    clear() {
        this.#bars = [];
        this.#level = 0;
        this.fill.style.width = '0';
        this.meter.classList.remove('clipped');
        this.meter.setAttribute('aria-valuenow', FLOOR_DB);
        this.value.textContent = t('level.off');
        this.draw();
    }

    draw() {
        this.#drawing = false;
        this.#drawn = performance.now();
        const { canvas } = this;
        const scale = devicePixelRatio || 1;
        const width = Math.round(canvas.clientWidth * scale);
        const height = Math.round(canvas.clientHeight * scale);
        if (canvas.width !== width || canvas.height !== height) {
            Object.assign(canvas, { width, height });
        }
        const style = getComputedStyle(canvas);
        const ink = canvas.getContext('2d');
        const step = width / BARS;
        const middle = height / 2;
        ink.clearRect(0, 0, width, height);
        ink.fillStyle = style.getPropertyValue('--line');
        ink.fillRect(0, Math.floor(middle), width, Math.max(1, Math.round(scale)));
        this.#bars.forEach(({ peak, live }, i) => {
            const tall = Math.max(scale, Math.sqrt(peak) * middle * 0.95); /* speech is quiet: the root shows it */
            const x = width - (this.#bars.length - i) * step;
            ink.fillStyle = style.getPropertyValue(live ? '--live' : '--muted');
            ink.fillRect(x, middle - tall, Math.max(1, step * 0.65), 2 * tall);
        });
    }
}
