/* test-formats.js - results as plain text, SubRip subtitles and JSON, for the test page. Pure.
 *
 * A result has text, segments [{start, end, text}] and offset, all times in seconds; offset is when it began. */

function stamp(seconds) {
    const ms = Math.max(0, Math.round(seconds * 1000));
    const part = (n, size) => String(n).padStart(size, '0');
    const clock = [Math.floor(ms / 3600000), Math.floor(ms / 60000) % 60, Math.floor(ms / 1000) % 60];
    return `${clock.map((n) => part(n, 2)).join(':')},${part(ms % 1000, 3)}`;
}

/** The segments on one time line; a result without any is one segment. */
function lines(results) {
    return results.flatMap(({ text, segments, offset, seconds = 0 }) =>
        (segments.length ? segments : [{ start: 0, end: seconds, text }])
            .map((s) => ({ start: s.start + offset, end: s.end + offset, text: s.text.trim() }))
            .filter((s) => s.text));
}

export const FORMATS = {
    txt: {
        type: 'text/plain',
        write: (results) => results.map((r) => `${r.text.trim()}\n`).join(''),
    },
    srt: {
        type: 'application/x-subrip',
        write: (results) => lines(results)
            .map((s, i) => `${i + 1}\n${stamp(s.start)} --> ${stamp(s.end)}\n${s.text}\n`)
            .join('\n'),
    },
    json: {
        type: 'application/json',
        write: (results) => {
            const dated = results.map((r) => ({ ...r, began: new Date(r.began).toISOString() }));
            return `${JSON.stringify(dated, null, 2)}\n`;
        },
    },
};
