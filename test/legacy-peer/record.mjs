/** What an old peer saw and sent, by type byte: how a test proves that nothing new ever reached it. */
import { KNOWN_TYPES } from './wire.mjs';

export class Record {
  #received = {};
  #sent = {};
  #unsolicited = {};
  #unknownTypes = [];
  #badMagic = [];
  #mismatches = [];
  #failures = [];
  #statuses = [];

  received(type, how) {
    const name = `0x${type.toString(16).padStart(2, '0')}`;
    this.#received[name] = (this.#received[name] ?? 0) + 1;
    if (how === 'unsolicited') this.#unsolicited[name] = (this.#unsolicited[name] ?? 0) + 1;
    if (!KNOWN_TYPES.has(type)) keep(this.#unknownTypes, name);
  }

  sent(type) {
    const name = `0x${type.toString(16).padStart(2, '0')}`;
    this.#sent[name] = (this.#sent[name] ?? 0) + 1;
  }

  badMagic(hex) {
    keep(this.#badMagic, hex);
  }

  mismatch(expected, got) {
    keep(this.#mismatches, `expected ${expected}, got ${got}`);
  }

  failure(text) {
    keep(this.#failures, text);
  }

  status(status) {
    keep(this.#statuses, status);
  }

  report() {
    return {
      received: this.#received,
      sent: this.#sent,
      unsolicited: this.#unsolicited,
      unknownTypes: this.#unknownTypes,
      badMagic: this.#badMagic,
      mismatches: this.#mismatches,
      failures: this.#failures,
      statuses: this.#statuses,
    };
  }
}

function keep(list, item) {
  list.push(item);
  if (list.length > 200) list.shift();
}
