/* test.js - the test page: settings, language, theme, and the parts that do the rest. */
import { Microphone } from './pinna.js';
import { MessageLog } from './test-log.js';
import { Results } from './test-results.js';
import { Scope } from './test-scope.js';
import { Talk } from './test-talk.js';
import { language, setLanguage, t } from './test-text.js';
import { Upload } from './test-upload.js';

const find = (selector) => document.querySelector(selector);
const LANGUAGES = ['zh', 'yue', 'en', 'ja', 'ko', 'de', 'es', 'fr', 'it', 'pt', 'ru', 'ar', 'hi', 'id', 'th', 'vi'];

/* ---- what is remembered, as far as the browser allows -------------------------------------------------- */

function recall(key) {
    try {
        return localStorage.getItem(`pinna.${key}`);
    } catch {
        return null;
    }
}

function remember(key, value) {
    try {
        localStorage.setItem(`pinna.${key}`, value);
    } catch {
        /* a private window: forgotten with the page */
    }
}

/* ---- settings ------------------------------------------------------------------------------------------ */

const form = find('#settings form');
const fields = [...form.elements, ...document.getElementsByName('mode')].filter((e) => e.name);

function settings() {
    const value = (name) => form.elements[name].value.trim();
    const funasr = value('protocol') === 'funasr';
    return {
        mode: find('[name=mode]:checked').value, protocol: value('protocol'), funasrMode: value('funasrMode'),
        model: funasr ? '' : value('model'), language: funasr ? '' : value('language'), hotwords: value('hotwords'),
        deviceId: value('deviceId'), interim: form.elements.interim.checked,
        processing: form.elements.processing.checked,
    };
}

function restoreSettings() {
    for (const field of fields) {
        const value = recall(field.name);
        if (value === null) {
            continue;
        }
        if (field.type === 'checkbox') {
            field.checked = value === 'true';
        } else if (field.type === 'radio') {
            field.checked = field.value === value;
        } else {
            field.value = value;
        }
    }
}

function settingChanged({ target }) {
    if (target.name) {
        remember(target.name, target.type === 'checkbox' ? target.checked : target.value);
    }
    showSettings();
}

function showSettings() {
    const funasr = settings().protocol === 'funasr';
    find('#funasr').hidden = !funasr;
    find('#no-model').hidden = !funasr;
    form.elements.model.disabled = form.elements.language.disabled = funasr;
    form.elements.interim.disabled = settings().protocol !== 'ptt';
    talk.render();
}

/** The names of languages as the reader calls them. */
function listLanguages() {
    const names = new Intl.DisplayNames([document.documentElement.lang], { type: 'language' });
    const select = form.elements.language;
    const chosen = select.value || recall('language') || '';
    select.replaceChildren(new Option(t('language.auto'), ''));
    select.append(...LANGUAGES.map((code) => new Option(`${names.of(code)} (${code})`, code)));
    select.value = chosen;
}

async function listMicrophones() {
    const select = form.elements.deviceId;
    const chosen = select.value || recall('deviceId') || '';
    const named = (await Microphone.list()).filter((d) => d.deviceId && d.deviceId !== 'default');
    select.replaceChildren(new Option(t('microphone.default'), ''));
    select.append(...named.map((d, i) =>
        new Option(d.label || t('microphone.number', { n: i + 1 }), d.deviceId)));
    select.value = named.some((d) => d.deviceId === chosen) ? chosen : '';
}

/* ---- the server ---------------------------------------------------------------------------------------- */

async function json(path) {
    try {
        const answer = await fetch(path, { cache: 'no-store' });
        return answer.ok ? await answer.json() : null;
    } catch {
        return null;
    }
}

/** Asked for only when somebody looks at the field, each time: models come and go. */
async function listModels() {
    const models = (await json('v1/models'))?.data ?? [];
    if (models.length) {
        find('#models').replaceChildren(...models.map(({ id }) => new Option(id, id)));
    }
}

async function showServer() {
    const stats = await json('stats');
    if (stats) {
        find('#server').textContent = `Pinna ${stats.version}, ${stats.model}, ${stats.device}`;
        find('#models').replaceChildren(new Option(stats.model, stats.model));
    } else {
        complain(() => t('error.refused', { host: location.host }));
    }
}

/* ---- complaints, language, theme ----------------------------------------------------------------------- */

let complaint = null; /* a function, so that it can be said again in the other language */

function complain(why) {
    complaint = why;
    find('#complaint p').textContent = why ? why() : '';
    find('#complaint').hidden = !why;
}

function speak(to) {
    setLanguage(to);
    listLanguages();
    listMicrophones();
    find('#switch-language').lang = to === 'zh' ? 'en' : 'zh-CN';
    complain(complaint);
    results.render();
    log.render();
    talk.render();
    if (!microphoneOpen()) {
        scope.clear();
    }
}

function microphoneOpen() {
    return !find('#microphone-off').hidden;
}

function dress(theme) {
    if (theme) {
        document.documentElement.dataset.theme = theme;
    }
}

function switchTheme() {
    const dark = getComputedStyle(document.documentElement).colorScheme === 'dark';
    dress(dark ? 'light' : 'dark');
    remember('theme', dark ? 'light' : 'dark');
    scope.draw();
}

/* ---- the parts ----------------------------------------------------------------------------------------- */

const log = new MessageLog(find('#log'));
const results = new Results({
    list: find('#results-list'), section: find('#results'), template: find('#result'), spoken: find('#spoken'),
});
const scope = new Scope({ canvas: find('#wave'), meter: find('#level'), value: find('#level-value') });
const talk = new Talk({
    button: find('#talk'), hint: find('#hint'), state: find('#state'), off: find('#microphone-off'), scope, log,
    results, settings, complain, opened: listMicrophones,
});
new Upload({ section: find('#file'), results, settings, complain });

dress(recall('theme'));
restoreSettings();
speak(recall('page-language') ?? (navigator.language.startsWith('zh') ? 'zh' : 'en'));
showSettings();
showServer();

form.onsubmit = (event) => event.preventDefault();
fields.forEach((field) => field.addEventListener('change', settingChanged));
form.elements.model.addEventListener('focus', listModels);
find('#switch-theme').onclick = switchTheme;
find('#complaint button').onclick = () => complain(null);
find('#switch-language').onclick = () => {
    speak(language() === 'zh' ? 'en' : 'zh');
    remember('page-language', language());
};

const problem = Microphone.problem();
if (problem) {
    talk.noMicrophone(problem);
}
