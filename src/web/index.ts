/**
 * What a person sees in a browser: one page, self-contained, served by `api` on `/`. Everything that a peer told
 * reaches the document as text only, and the policy allows no script but the page's own.
 */
import { createHash } from 'node:crypto';
import { pageHtml } from './page.js';
import { CHAT_SCRIPT } from './page-chat.js';
import { MESH_SCRIPT } from './page-mesh.js';
import { PAGE_STYLE } from './page-style.js';
import { TOPOLOGY_SCRIPT } from './page-topology.js';

const script = `(() => {\n'use strict';\n${TOPOLOGY_SCRIPT}\n${MESH_SCRIPT}\n${CHAT_SCRIPT}\n})();`;

/** The script of the page, as one text. */
export const PAGE_SCRIPT: string = script;

/** The page. */
export const PAGE_HTML: string = pageHtml(PAGE_STYLE, script);

/** Its Content-Security-Policy: no other script, no other style, no other server, no frame around it. */
export const PAGE_CSP: string = [
  "default-src 'none'",
  `script-src '${digest(script)}'`,
  `style-src '${digest(PAGE_STYLE)}'`,
  "connect-src 'self'",
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

function digest(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}
