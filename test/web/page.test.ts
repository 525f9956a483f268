import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import { Script } from 'node:vm';
import { PAGE_CSP, PAGE_HTML, PAGE_SCRIPT } from '../../src/web/index.js';
import { startApi, type TestApi, until } from '../api/harness.js';
import { Browser, findChromium } from './browser.js';

const HOSTILE = '<img src=x onerror="window.pwned=1"><script>window.pwned=2</script>';

describe('page', () => {
  it('has a script that parses, and one of each of script and style', () => {
    new Script(PAGE_SCRIPT);
    assert.equal(PAGE_HTML.match(/<script>/g)?.length, 1);
    assert.equal(PAGE_HTML.match(/<style>/g)?.length, 1);
    assert.doesNotMatch(PAGE_SCRIPT, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(/);
  });

  it('has a policy that allows exactly them', () => {
    const digest = (tag: string) => {
      const text = PAGE_HTML.split(`<${tag}>`)[1]?.split(`</${tag}>`)[0] ?? '';
      return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
    };
    assert.ok(PAGE_CSP.includes(`script-src ${digest('script')};`), PAGE_CSP);
    assert.ok(PAGE_CSP.includes(`style-src ${digest('style')};`), PAGE_CSP);
    assert.match(PAGE_CSP, /^default-src 'none'; /);
    assert.match(PAGE_CSP, /frame-ancestors 'none'$/);
  });

  it('loads nothing from elsewhere', () => {
    assert.doesNotMatch(PAGE_HTML.replaceAll('http://www.w3.org/2000/svg', ''), /https?:\/\//);
  });
});

const chromium = findChromium();

describe('page in a browser', {
  skip: chromium === undefined ? 'chromium is not installed' : false,
}, () => {
  async function open(t: TestContext, width = 1200, prepare: (api: TestApi) => void = () => undefined) {
    const api = await startApi(t);
    prepare(api);
    const browser = await Browser.open(chromium ?? '', `${api.url}/`, { width, height: 900 });
    t.after(() => browser.close());
    await browser.until('document.querySelectorAll("g.node").length === 3');
    return { api, browser };
  }

  it('draws nodes, layers, edges and the active node, and follows changes', async (t) => {
    const { api, browser } = await open(t);
    const text = String(await browser.evaluate('document.querySelector("svg").textContent'));
    for (const part of [
      'a (this)',
      'Mac Studio · 128 GB',
      'if split: 0–4 (of 8)',
      'if split: 7 (of 8)',
      'DIRECT (10.0.0.7)',
    ]) {
      assert.ok(text.includes(part), part);
    }
    assert.equal(await browser.evaluate('document.querySelectorAll("line.edge").length'), 2);
    assert.equal(await browser.evaluate('document.querySelectorAll("g.node.active").length'), 0);
    const ring = [{ nodeId: 'b', startLayer: 0, endLayer: 7 }];
    const note = { requestId: 'r', model: 'dummy', atMs: 1, ring, reason: '', outsiders: [] };
    Object.assign(api.chat, { plans: { notes: [{ ...note, predicted: null, measured: null }] } });
    api.mesh.change();
    await browser.until('document.querySelector("svg").textContent.includes("layers 0–7 (of 8)")');
    const answered = String(await browser.evaluate('document.querySelector("svg").textContent'));
    assert.equal((answered.match(/no layers of dummy/g) ?? []).length >= 2, true);
    api.mesh.activeNodeId = 'b';
    api.mesh.change();
    await browser.until('document.querySelectorAll("g.node.active").length === 1');
    const peers = String(await browser.evaluate('document.getElementById("peers").textContent'));
    assert.match(peers, /b.*alive.*127\.0\.0\.1:50052.*MAN.*0\.4 ms/);
    const problems = String(await browser.evaluate('document.getElementById("problems").textContent'));
    assert.match(problems, /two machines use the id "b".*not in --node-id-filter/);
    assert.deepEqual(browser.complaints, []);
  });

  it('shows what a peer says as text, never as markup', async (t) => {
    const { browser } = await open(t, 1200, (api) => {
      api.mesh.hostileName = HOSTILE;
    });
    await browser.until('document.getElementById("peers").textContent.includes("<img src=x")');
    assert.equal(await browser.evaluate('document.querySelectorAll("img").length'), 0);
    assert.equal(await browser.evaluate('typeof window.pwned'), 'undefined');
    assert.deepEqual(browser.complaints, []);
  });

  it('streams an answer, keeps the conversation, and stops on request', async (t) => {
    const { api, browser } = await open(t);
    const ask = (text: string) =>
      browser.evaluate(
        `document.getElementById('text').value = ${JSON.stringify(text)}; document.getElementById('ask').requestSubmit()`,
      );
    const log = '[...document.querySelectorAll("#log > *")].map((turn) => turn.textContent).join("|")';
    await ask(HOSTILE);
    await browser.until(`${log} === ${JSON.stringify(`${HOSTILE}|${'dummy'.repeat(10)}|10 tokens`)}`);
    assert.equal(await browser.evaluate('document.getElementById("stop").hidden'), true);
    api.chat.endless = true;
    await ask('again');
    await browser.until(`${log}.endsWith("again|${'dummy'.repeat(10)}")`);
    assert.equal(await browser.evaluate('document.getElementById("send").hidden'), true);
    await browser.evaluate('document.getElementById("stop").click()');
    await until(() => api.chat.requests[1]?.signal.aborted === true);
    await browser.until(`${log}.endsWith("stopped")`);
    assert.deepEqual(
      api.chat.requests[1]?.messages.map(({ role }) => role),
      ['user', 'assistant', 'user'],
    );
    api.chat.refusal = new Error('the engine is on fire');
    await ask('once more');
    await browser.until(`${log}.endsWith("the engine is on fire")`);
  });

  it('begins a new conversation when it is cleared in the middle of an answer', async (t) => {
    const { api, browser } = await open(t);
    const ask = (text: string) =>
      browser.evaluate(
        `document.getElementById('text').value = ${JSON.stringify(text)}; document.getElementById('ask').requestSubmit()`,
      );
    api.chat.endless = true;
    await ask('old');
    await browser.until('document.getElementById("log").textContent.includes("dummy")');
    await browser.evaluate('document.getElementById("clear").click()');
    await until(() => api.chat.requests[0]?.signal.aborted === true);
    await browser.until('document.getElementById("stop").hidden');
    assert.equal(await browser.evaluate('document.getElementById("log").textContent'), '');
    await ask('new');
    await until(() => api.chat.requests.length === 2);
    assert.deepEqual(api.chat.requests[1]?.messages, [{ role: 'user', content: 'new' }]);
  });

  it('fits a phone', async (t) => {
    const { browser } = await open(t, 400);
    assert.equal(await browser.evaluate('document.documentElement.scrollWidth'), 400);
  });

  it('says that the node is gone', async (t) => {
    const { api, browser } = await open(t);
    await browser.until('document.getElementById("live").textContent === "live"');
    await api.server.stop();
    await browser.until('document.getElementById("live").textContent.includes("lost")');
  });
});
