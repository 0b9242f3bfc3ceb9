/* pinna-emitter.js - events for pinna.js: an EventTarget whose listeners get the detail. */

export class Emitter extends EventTarget {
    /**
     * @param {string} type
     * @param {(detail: object) => void} listener
     * @returns {() => void} takes the listener away
     */
    on(type, listener) {
        const wrapped = (event) => listener(event.detail);
        this.addEventListener(type, wrapped);
        return () => this.removeEventListener(type, wrapped);
    }

    /**
     * @param {string} type
     * @param {object} [detail]
     */
    emit(type, detail = {}) {
        this.dispatchEvent(new CustomEvent(type, { detail }));
    }
}
