/**
 * GET /v1/events: the state of the mesh (as `/v1/status`) at once, after every change, and every few seconds
 * because round trip times change without an event. A slow reader gets fewer snapshots, never a queue of them; one whose
 * token has ended gets no more.
 */
import { ExoError, LIMITS, type TimerHandle } from '../shared/index.js';
import { isAllowed } from './access.js';
import { statusJson } from './mesh-json.js';
import type { ApiContext, ApiRequest, Route } from './route.js';
import { SSE_HEADERS, SseStream } from './sse.js';

/** The event stream; one instance counts its open streams. */
export class EventRoutes {
  readonly #api: ApiContext;
  #streams = 0;

  constructor(api: ApiContext) {
    this.#api = api;
  }

  routes(): Route[] {
    return [
      { method: 'GET', paths: ['/v1/events'], access: 'local', handle: (request) => this.#open(request) },
    ];
  }

  #open(request: ApiRequest): Response {
    if (request.env.incoming.method === 'HEAD') return new Response(null, { headers: SSE_HEADERS });
    if (this.#streams >= LIMITS.httpEventStreamsMax) {
      throw new ExoError('overloaded', `${this.#streams} event streams are open already; close one`);
    }
    const { mesh, chat, clock, stopping, sheds, tokens } = this.#api;
    let next: TimerHandle | undefined;
    let dirty = true;
    let over = false;
    const finish = () => {
      if (over) return;
      over = true;
      this.#streams -= 1;
      next?.cancel();
      unsubscribe();
      refresh.cancel();
      stopping.removeEventListener('abort', onStop);
    };
    const onStop = () => {
      events.close();
      finish();
    };
    const push = () => {
      next = undefined;
      if (!dirty || over) return;
      next = clock.after(LIMITS.httpEventIntervalMs, push);
      if (!events.hasRoom) return;
      dirty = false;
      void events.send(statusJson(mesh, chat, clock.wall(), sheds, this.#api.downloads?.running));
    };
    const changed = () => {
      dirty = true;
      if (next === undefined) push();
    };
    this.#streams += 1;
    const unsubscribe = mesh.onChange(changed);
    const refresh = clock.every(LIMITS.httpEventRefreshMs, () => {
      if (isAllowed('local', tokens, request.env.incoming)) changed();
      else onStop();
    });
    stopping.addEventListener('abort', onStop, { once: true });
    const events = new SseStream(clock, request.env.outgoing, finish);
    if (stopping.aborted) onStop();
    else push();
    return new Response(events.body, { headers: SSE_HEADERS });
  }
}
