/* test-log.js - the message log of the test page: the last 200, what was sent and what came. */
import { t } from './test-text.js';

const MOST = 200;
const SHOWN = 400; /* characters of a message */

export class MessageLog {
    #entries = []; /* {time, out, bytes, text or null for audio, count, row} */

    /** @param {HTMLDetailsElement} details holds a tbody and a button that clears */
    constructor(details) {
        this.details = details;
        this.body = details.querySelector('tbody');
        this.count = details.querySelector('[data-count]');
        details.querySelector('button').onclick = () => this.clear();
        details.addEventListener('toggle', () => this.render());
    }

    /** Audio in a row is one entry, or nothing else would be left to see. */
    add({ out, bytes, text }) {
        const last = this.#entries.at(-1);
        if (text === null && last?.text === null && last.out === out) {
            last.count++;
            last.bytes += bytes;
            this.fill(last);
        } else {
            this.push({ time: new Date(), out, bytes, text, count: 1 });
        }
    }

    /** A line that is no message. */
    note(text) {
        this.push({ time: new Date(), text });
    }

    push(entry) {
        this.#entries.push(entry);
        if (this.#entries.length > MOST) {
            this.#entries.shift().row?.remove();
        }
        this.count.textContent = this.#entries.length;
        if (this.details.open) {
            this.append(entry);
        }
    }

    append(entry) {
        const scroll = this.body.closest('.scroll');
        const atEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 40;
        entry.row = this.body.insertRow();
        for (let i = 0; i < 4; i++) {
            entry.row.insertCell();
        }
        this.fill(entry);
        if (atEnd) {
            scroll.scrollTop = scroll.scrollHeight;
        }
    }

    fill({ row, time, out, bytes, text, count }) {
        if (!row) {
            return;
        }
        const [when, way, size, what] = row.cells;
        when.textContent = time.toTimeString().slice(0, 8) + `.${String(time.getMilliseconds()).padStart(3, '0')}`;
        if (out !== undefined) {
            way.textContent = out ? '↑' : '↓';
            way.className = out ? 'out' : 'in';
            way.setAttribute('aria-label', t(out ? 'log.out' : 'log.in'));
            size.textContent = bytes;
        }
        what.textContent = text === null ? t('log.audio', { n: count }) : text.slice(0, SHOWN);
        what.title = text?.length > SHOWN ? text.slice(0, 4000) : '';
    }

    /** Anew: after opening, and in another language. */
    render() {
        this.body.replaceChildren();
        for (const entry of this.#entries) {
            entry.row = null;
            if (this.details.open) {
                this.append(entry);
            }
        }
    }

    clear() {
        this.#entries = [];
        this.count.textContent = 0;
        this.render();
    }
}
