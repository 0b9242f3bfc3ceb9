// shim.mjs - as much of k6's modules as deploy/k6/load_test.js uses, in node: enough to see that the script is
// right. Time is real; a speaker talks once.
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import http from 'node:http';

export const metrics = {};
const running = [];

globalThis.__ENV = process.env;
globalThis.open = (path) => {
    const b = readFileSync(path);
    return b.buffer.slice(b.byteOffset, b.byteOffset + b.byteLength);
};

class Metric {
    constructor(name) {
        this.values = metrics[name] = [];
    }

    add(value) {
        this.values.push(Number(value));
    }
}
export { Metric as Counter, Metric as Rate, Metric as Trend };

const checks = new Metric('checks');
export function check(value, sets) {
    for (const [name, good] of Object.entries(sets)) {
        checks.add(Boolean(good(value)));
        if (!good(value)) {
            console.error(`failed: ${name}`);
        }
    }
}

const encoding = { b64encode: (buffer) => Buffer.from(buffer).toString('base64') };

// A masked text frame (RFC 6455 5.2), or a close frame.
function frame(opcode, payload) {
    const mask = randomBytes(4);
    const n = payload.length;
    const head = n < 126 ? [n] : n < 65536 ? [126, n >> 8, n & 255] : [127, 0, 0, 0, 0, n >>> 24, (n >> 16) & 255, (n >> 8) & 255, n & 255];
    head[0] |= 0x80;
    return Buffer.concat([Buffer.from([0x80 | opcode, ...head]), mask, payload.map((b, i) => b ^ mask[i & 3])]);
}

class Socket {
    constructor() {
        this.handlers = {};
        this.timers = [];
        this.bytes = Buffer.alloc(0);
        this.over = new Promise((resolve) => (this.resolve = resolve));
    }

    on(event, handler) {
        this.handlers[event] = handler;
    }

    tell(event, value) {
        if (this.handlers[event]) {
            this.handlers[event](value);
        }
    }

    send(text) {
        this.stream.write(frame(1, Buffer.from(text)));
    }

    setInterval(handler, ms) {
        this.timers.push(setInterval(handler, ms));
    }

    setTimeout(handler, ms) {
        this.timers.push(setTimeout(handler, ms));
    }

    close() {
        this.timers.forEach(clearInterval);
        if (this.stream) {
            this.stream.end(frame(8, Buffer.from([3, 232])));
        }
        this.resolve();
    }

    take(bytes) {
        this.bytes = Buffer.concat([this.bytes, bytes]);
        for (;;) {
            const short = this.bytes.length > 1 ? this.bytes[1] & 127 : 0;
            const head = short === 126 ? 4 : short === 127 ? 10 : 2;
            if (this.bytes.length < head) {
                return;
            }
            const n = short === 126 ? this.bytes.readUInt16BE(2) : short === 127 ? Number(this.bytes.readBigUInt64BE(2)) : short;
            if (this.bytes.length < head + n) {
                return;
            }
            const payload = this.bytes.subarray(head, head + n);
            const opcode = this.bytes[0] & 15;
            this.bytes = this.bytes.subarray(head + n);
            if (opcode === 1) {
                this.tell('message', payload.toString('utf8'));
            }
        }
    }
}

// k6 waits here until the socket is closed; this one does it at the end.
function connect(url, params, talk) {
    const key = randomBytes(16).toString('base64');
    const socket = new Socket();
    const request = http.get(url.replace(/^ws/, 'http'), {
        headers: { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Key': key, 'Sec-WebSocket-Version': '13' },
    });
    request.on('upgrade', (response, stream, head) => {
        const want = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
        checks.add(response.headers['sec-websocket-accept'] === want);
        socket.stream = stream;
        stream.on('data', (bytes) => socket.take(bytes));
        stream.on('error', (e) => socket.tell('error', e));
        socket.tell('open');
        socket.take(head);
    });
    request.on('error', (e) => socket.tell('error', e));
    talk(socket);
    running.push(socket.over);
    return { status: 101 };
}

export const finished = () => Promise.all(running);
export default { connect, b64encode: encoding.b64encode };
