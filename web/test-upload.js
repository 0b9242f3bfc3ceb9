/* test-upload.js - a file to POST /transcribe, with its progress. XMLHttpRequest, because fetch() tells nothing of
 * what was sent. */
import { t } from './test-text.js';

const TICK_MS = 500;

function size(bytes) {
    return bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

/** The message of an error answer. */
function messageOf(request) {
    try {
        return JSON.parse(request.responseText).error.message;
    } catch {
        return request.statusText;
    }
}

export class Upload {
    #request = null;
    #timer = 0;

    /** @param {{section: Element, results: object, settings: () => object, complain: Function}} parts */
    constructor(parts) {
        Object.assign(this, parts);
        const find = (selector) => this.section.querySelector(selector);
        Object.assign(this, { input: find('input[type=file]'), work: find('[data-work]'), said: find('[data-said]') });
        this.bar = find('progress');
        this.input.onchange = () => this.send(this.input.files[0]);
        find('[data-cancel]').onclick = () => this.cancel();
        this.acceptDrops(find('[data-drop]'));
    }

    /** Anywhere on the page; what is dropped beside the box must not replace the page. */
    acceptDrops(box) {
        const within = (event, on) => {
            if (event.dataTransfer?.types.includes('Files')) {
                event.preventDefault();
                box.classList.toggle('over', on);
            }
        };
        document.addEventListener('dragover', (event) => within(event, true));
        document.addEventListener('dragleave', (event) => within(event, Boolean(event.relatedTarget)));
        document.addEventListener('drop', (event) => {
            within(event, false);
            this.send(event.dataTransfer?.files[0]);
        });
    }

    send(file) {
        if (!file || this.#request) {
            return;
        }
        const request = new XMLHttpRequest();
        const run = { file, request, began: Date.now(), sent: 0 };
        this.#request = request;
        this.section.classList.add('busy');
        this.work.hidden = false;
        this.progress(run, 0);
        request.upload.onprogress = (event) => this.progress(run, event.loaded / (event.total || 1));
        request.upload.onload = () => this.uploaded(run);
        request.onload = () => this.answered(run);
        request.onerror = () => this.failed(run, () => t('error.refused', { host: location.host }));
        request.onabort = () => this.finish(t('file.cancelled', { name: file.name }));
        request.open('POST', new URL('transcribe', location.href));
        request.send(this.form(file));
    }

    form(file) {
        const { model, language, hotwords } = this.settings();
        const form = new FormData();
        for (const [name, value] of Object.entries({ model, language, hotwords })) {
            if (value) {
                form.append(name, value);
            }
        }
        form.append('vad', this.section.querySelector('[data-vad]').checked);
        form.append('file', file);
        return form;
    }

    progress({ file }, part) {
        this.bar.value = part;
        this.said.textContent = t('file.uploading', { name: file.name, done: size(part * file.size), all: size(file.size) });
    }

    uploaded(run) {
        run.sent = Date.now();
        this.bar.removeAttribute('value'); /* how long recognition takes is not known */
        const tell = () => {
            const seconds = Math.round((Date.now() - run.sent) / 1000);
            this.said.textContent = t('file.waiting', { name: run.file.name, seconds });
        };
        tell();
        this.#timer = setInterval(tell, TICK_MS);
    }

    answered(run) {
        const { request, file, began } = run;
        if (request.status !== 200) {
            const key = request.status === 503 ? 'error.http503' : 'error.http';
            const message = messageOf(request);
            this.failed(run, () => t(key, { status: request.status, message }));
            return;
        }
        const { text, language, segments } = JSON.parse(request.responseText);
        const end = Date.now();
        const sent = run.sent || end;
        const result = this.results.begin({ source: 'file', label: file.name, began });
        this.results.settle(result, {
            text, language, seconds: segments.at(-1)?.end ?? 0,
            segments: segments.map((s) => ({ start: s.start, end: s.end, text: s.text })),
            latency: { sent_ms: sent - began, recognised_ms: end - sent },
        }, [['fact.sent', sent - began, 'ms'], ['fact.recognised', end - sent, 'ms']]);
        this.finish('');
    }

    failed({ file, began }, why) {
        const result = this.results.begin({ source: 'file', label: file.name, began });
        this.results.fail(result, why);
        this.complain(why);
        this.finish('');
    }

    cancel() {
        this.#request?.abort();
    }

    finish(text) {
        clearInterval(this.#timer);
        this.#request = null;
        this.section.classList.remove('busy');
        this.work.hidden = true;
        this.said.textContent = text;
        this.input.value = '';
    }
}
