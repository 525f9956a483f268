/** A headless Chromium, driven over its debugging pipe. Not a test. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex, Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { inTime } from '../support/eventually.js';

const UNTIL_MS = inTime(10_000);
/** What the browser says of an expression whose page went away under it. */
const NAVIGATED = /navigated or closed|context was destroyed|Cannot find context/;

/** The first Chromium on the PATH, or undefined. */
export function findChromium(): string | undefined {
  return ['chromium', 'chromium-browser', 'google-chrome'].find(
    (name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0,
  );
}

interface Reply {
  readonly id?: number;
  readonly method?: string;
  readonly params?: unknown;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}

/** One page in one browser. */
export class Browser {
  /** Exceptions, console lines and policy violations of the page. */
  readonly complaints: string[] = [];
  readonly #child: ChildProcess;
  readonly #directory: string;
  readonly #waiting = new Map<number, (reply: Reply) => void>();
  #nextId = 1;
  #session: string | undefined;
  #rest = '';

  private constructor(program: string, args: readonly string[]) {
    this.#directory = mkdtempSync(join(tmpdir(), 'exo-page-'));
    this.#child = spawn(
      program,
      [
        '--headless',
        '--no-sandbox',
        '--disable-gpu',
        '--remote-debugging-pipe',
        `--user-data-dir=${this.#directory}`,
        ...args,
        'about:blank',
      ],
      { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] },
    );
    // One for every command that is sent.
    this.#child.setMaxListeners(0);
    const replies = this.#child.stdio[4] as Readable;
    replies.setEncoding('utf8');
    replies.on('data', (text: string) => this.#take(text));
    (this.#child.stdio[3] as Duplex).on('error', () => undefined);
  }

  /** @param args more of the browser's own options */
  static async open(
    program: string,
    url: string,
    size: { width: number; height: number },
    args: readonly string[] = [],
  ): Promise<Browser> {
    const browser = new Browser(program, args);
    const { targetId } = await browser.#send('Target.createTarget', { url: 'about:blank' });
    const attached = await browser.#send('Target.attachToTarget', { targetId, flatten: true });
    browser.#session = String(attached['sessionId']);
    for (const domain of ['Runtime', 'Log', 'Page']) await browser.#send(`${domain}.enable`);
    await browser.#send('Emulation.setDeviceMetricsOverride', {
      ...size,
      deviceScaleFactor: 1,
      mobile: size.width < 500,
    });
    await browser.#send('Page.navigate', { url });
    return browser;
  }

  /** The value of an expression in the page. */
  async evaluate(expression: string): Promise<unknown> {
    const { result, exceptionDetails } = await this.#send('Runtime.evaluate', {
      expression,
      returnByValue: true,
      awaitPromise: true,
    });
    if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails));
    return (result as { value?: unknown }).value;
  }

  /** Waits until an expression of the page is true; a page that gives way to another is looked at anew. */
  async until(expression: string): Promise<void> {
    const end = performance.now() + UNTIL_MS;
    while (performance.now() < end) {
      const met = await this.evaluate(`Boolean(${expression})`).catch((error: Error) => {
        if (!NAVIGATED.test(error.message)) throw error;
        return false;
      });
      if (met === true) return;
      await sleep(20);
    }
    throw new Error(`never true in the page: ${expression}`);
  }

  /** Ends the browser and removes its files. */
  async close(): Promise<void> {
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    if (this.#child.exitCode === null) {
      await Promise.race([this.#send('Browser.close').catch(() => undefined), gone]);
      await gone;
    }
    rmSync(this.#directory, { recursive: true, force: true, maxRetries: 10 });
  }

  #send(method: string, params: object = {}): Promise<Record<string, unknown>> {
    const id = this.#nextId++;
    const sessionId =
      this.#session === undefined || method.startsWith('Browser.') ? {} : { sessionId: this.#session };
    (this.#child.stdio[3] as Writable).write(`${JSON.stringify({ id, method, params, ...sessionId })}\0`);
    return new Promise((resolve, reject) => {
      this.#child.once('exit', () => reject(new Error('the browser ended')));
      this.#waiting.set(id, ({ result, error }) => {
        if (error === undefined) resolve(result ?? {});
        else reject(new Error(`${method}: ${error.message}`));
      });
    });
  }

  #take(text: string): void {
    const parts = (this.#rest + text).split('\0');
    this.#rest = parts.pop() ?? '';
    for (const part of parts) {
      const reply = JSON.parse(part) as Reply;
      if (reply.id !== undefined) this.#waiting.get(reply.id)?.(reply);
      else if (
        reply.method === 'Runtime.exceptionThrown' ||
        reply.method === 'Runtime.consoleAPICalled' ||
        reply.method === 'Log.entryAdded'
      ) {
        this.complaints.push(JSON.stringify(reply.params));
      }
    }
  }
}
