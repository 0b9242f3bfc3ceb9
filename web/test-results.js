/* test-results.js - the results of the test page: a card each, the newest first, and all of them as files. */
import { FORMATS } from './test-formats.js';
import { localize, t } from './test-text.js';

/** Where navigator.clipboard is not allowed (plain http), the old way still is. */
async function copy(text) {
    if (navigator.clipboard) {
        return navigator.clipboard.writeText(text);
    }
    const area = document.createElement('textarea');
    area.value = text;
    area.className = 'off-screen';
    document.body.append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    return done ? undefined : Promise.reject(new Error('not allowed'));
}

function save(text, format, name) {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob([text], { type: `${FORMATS[format].type};charset=utf-8` }));
    link.download = `${name}.${format}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/** 20260131-174501, of local time */
function fileStamp(date) {
    const two = (n) => String(n).padStart(2, '0');
    const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join('');
    return `${day}-${[date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join('')}`;
}

function seconds(n) {
    return n.toFixed(2);
}

export class Results {
    #results = []; /* {data: what is saved, card, facts} */

    /** @param {{list: Element, section: Element, template: HTMLTemplateElement, spoken: Element}} parts */
    constructor(parts) {
        Object.assign(this, parts);
        this.wire(this.section.querySelector('[data-all]'), () => this.#results.map((r) => r.data));
        this.section.querySelector('[data-clear]').onclick = () => this.clear();
        this.countThem();
    }

    /**
     * @param {object} about
     * @param {'hold'|'free'|'file'} about.source
     * @param {string} about.label the protocol, or the file's name
     * @param {number} about.began ms, Date.now() when the audio began
     * @returns {object} the result, for the calls below
     */
    begin({ source, label, began }) {
        const first = this.#results[0]?.data.began ?? began;
        const data = {
            source, label, began, offset: (began - first) / 1000, text: '', language: '', seconds: 0, segments: [],
            latency: {},
        };
        const result = { data, at: Date.now(), facts: [], done: false, card: this.template.content.firstElementChild.cloneNode(true) };
        this.#results.push(result);
        this.list.prepend(result.card);
        this.wire(result.card, () => [{ ...data, offset: 0 }]);
        this.show(result);
        this.countThem();
        return result;
    }

    partial(result, text) {
        result.data.text = text;
        this.show(result);
    }

    /**
     * @param {object} final members of the result's data
     * @param {[string, number, string][]} facts key of the name, value, unit: ms, s or ""
     */
    settle(result, final, facts) {
        Object.assign(result.data, final);
        result.facts = facts.filter(([, n]) => Number.isFinite(n));
        result.done = true;
        this.show(result);
        this.spoken.textContent = result.data.text;
    }

    fail(result, why) {
        result.failure = why;
        result.done = true;
        this.show(result);
    }

    discard(result) {
        this.#results = this.#results.filter((r) => r !== result);
        result.card.remove();
        this.countThem();
    }

    clear() {
        for (const result of this.#results.filter((r) => r.done)) {
            this.discard(result);
        }
    }

    /** In another language. */
    render() {
        this.#results.forEach((r) => this.show(r));
    }

    countThem() {
        const none = this.#results.length === 0;
        this.section.querySelector('[data-empty]').hidden = !none;
        this.section.querySelector('[data-all]').hidden = none;
    }

    /** The buttons below `root` copy and save what `get` returns. */
    wire(root, get) {
        const button = root.querySelector('[data-copy]');
        button.onclick = () => {
            const note = root.querySelector('[data-note]');
            copy(FORMATS.txt.write(get()).trimEnd()).then(() => 'copied', () => 'copy.failed').then((key) => {
                note.textContent = t(key);
                setTimeout(() => { note.textContent = ''; }, 2500);
            });
        };
        for (const save_ of root.querySelectorAll('[data-save]')) {
            save_.onclick = () => {
                const format = save_.dataset.save;
                const all = get();
                save(FORMATS[format].write(all), format, `pinna-${fileStamp(new Date(all[0].began))}`);
            };
        }
    }

    /* ---- one card -------------------------------------------------------------------------------------- */

    show(result) {
        const { card, data, done, failure } = result;
        const part = (name) => card.querySelector(`[data-part="${name}"]`);
        localize(card);
        card.classList.toggle('open', !done);
        card.classList.toggle('failed', Boolean(failure));
        part('source').textContent = data.source === 'file' ? data.label : t(`mode.${data.source}`);
        part('label').textContent = data.source === 'file' ? '' : data.label;
        part('time').textContent = new Date(result.at).toTimeString().slice(0, 8);
        part('language').textContent = data.language ?? '';
        const text = part('text');
        text.lang = data.language || '';
        text.textContent = data.text || this.instead(result);
        text.classList.toggle('none', !data.text);
        part('why').textContent = failure && data.text ? t('result.failed', { why: failure() }) : '';
        part('buttons').hidden = !done || !data.text;
        part('facts').replaceChildren(...result.facts.flatMap((fact) => Results.fact(...fact)));
        this.showTimes(part('times'), data, done);
    }

    instead({ done, failure }) {
        if (failure) {
            return t('result.failed', { why: failure() });
        }
        return t(done ? 'result.nothing' : 'result.waiting');
    }

    static fact(key, n, unit) {
        const name = document.createElement('dt');
        const value = document.createElement('dd');
        name.textContent = t(key);
        value.textContent = unit ? t(`unit.${unit}`, { n: unit === 's' ? seconds(n) : Math.round(n) }) : n.toFixed(2);
        const pair = document.createElement('div');
        pair.append(name, value);
        return [pair];
    }

    showTimes(details, { segments, source }, done) {
        details.hidden = !done || segments.length === 0;
        if (details.hidden) {
            return;
        }
        details.querySelector('summary').textContent = t('result.times', { n: segments.length });
        if (details.dataset.filled) {
            return;
        }
        details.dataset.filled = 'yes';
        details.open = source === 'file' && segments.length > 1;
        details.querySelector('ol').replaceChildren(...segments.map(({ start, end, text }) => {
            const line = document.createElement('li');
            const time = document.createElement('span');
            time.textContent = `${seconds(start)} – ${seconds(end)}`;
            line.append(time, text.trim());
            return line;
        }));
    }
}
