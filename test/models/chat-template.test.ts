/** Conversations become the texts that transformers make of them; what these refuse is refused. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { ChatTemplate, type TemplateMessage } from '../../src/models/tokenizer/template/chat-template.js';
import { ExoError, VirtualClock } from '../../src/shared/index.js';
import '../support/leaks.js';

interface Vectors {
  readonly tokens: Readonly<Record<string, string>>;
  readonly conversations: ReadonlyArray<readonly TemplateMessage[]>;
  readonly templates: ReadonlyArray<{ name: string; source: string; texts: ReadonlyArray<string | null> }>;
}

const { tokens, conversations, templates } = JSON.parse(
  readFileSync(new URL('./vectors/chat-templates.json', import.meta.url), 'utf8'),
) as Vectors;

describe('a chat template renders as transformers do', () => {
  for (const { name, source, texts } of templates) {
    it(name, () => {
      const template = new ChatTemplate(source, { place: 'a test', tokens, clock: new VirtualClock() });
      for (const [index, expected] of texts.entries()) {
        const render = () => template.render(conversations[index]!);
        if (expected !== null) assert.equal(render(), expected);
        else {
          assert.throws(
            render,
            (error) => error instanceof ExoError && error.code === 'conversation-refused',
          );
        }
      }
    });
  }
});
