/** Makes the faults of a schedule happen in the field, and ends them. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Field } from './field.js';
import type { Fault } from './schedule.js';

/** Something that is wrong with the network until it is taken off the list. */
interface Block {
  readonly from: number;
  readonly to: number;
}

/** The hand of the nemesis. One for a field. */
export class Faults {
  readonly #field: Field;
  readonly #blocks = new Set<Block>();

  constructor(field: Field) {
    this.#field = field;
  }

  /** One fault from its beginning to its end; resolves when it is healed. */
  async run(fault: Fault): Promise<void> {
    await delay(fault.afterMs);
    const machine = this.#field.machines[fault.host]!;
    const { lan, sshd } = this.#field;
    switch (fault.kind) {
      case 'kill': {
        const away = { fromMs: Date.now(), toMs: Number.POSITIVE_INFINITY, killed: true };
        machine.away.push(away);
        machine.node.kill('SIGKILL');
        await machine.node.closed;
        await delay(fault.forMs);
        machine.start();
        await machine.node.sees(/"msg":"api-listening"/, 20_000);
        away.toMs = Date.now();
        return;
      }
      case 'stop':
      case 'freeze': {
        const away = { fromMs: Date.now(), toMs: Number.POSITIVE_INFINITY, killed: false };
        machine.away.push(away);
        machine.node.kill('SIGSTOP');
        try {
          await delay(fault.forMs);
        } finally {
          machine.node.kill('SIGCONT');
          away.toMs = Date.now();
        }
        return;
      }
      case 'cut':
        lan.cut(machine.host);
        await delay(fault.forMs);
        lan.restore(machine.host);
        return;
      case 'one-way': {
        const block = { from: fault.host, to: fault.other };
        this.#blocks.add(block);
        this.#filter();
        await delay(fault.forMs);
        this.#blocks.delete(block);
        this.#filter();
        return;
      }
      case 'slow':
        lan.rate(machine.host, fault.amount);
        await delay(fault.forMs);
        lan.fullRate(machine.host);
        return;
      case 'sshd':
        await sshd.stop();
        await delay(fault.forMs);
        await sshd.start();
        return;
      case 'clock':
        machine.setClock(fault.amount);
        await delay(fault.forMs);
        machine.setClock(0);
        return;
      case 'rotate':
        // The old key counts for a week: nobody may notice.
        await machine.exo('key', 'rotate', '--yes', '--node-id', machine.id);
        return;
    }
  }

  #filter(): void {
    const { lan, machines } = this.#field;
    lan.heal();
    for (const { from, to } of this.#blocks) lan.block(machines[from]!.host, machines[to]!.host);
  }
}
