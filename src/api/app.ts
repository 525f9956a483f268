/**
 * The routes put together: guard first, then the endpoint; errors, unknown paths and wrong methods answered in
 * one shape.
 */
import type { HttpBindings } from '@hono/node-server';
import { Hono } from 'hono';
import { printable } from '../shared/index.js';
import { PAGE_CSP, PAGE_HTML } from '../web/index.js';
import { authorize } from './access.js';
import { authRoutes, ciloError } from './auth-routes.js';
import { chatRoutes } from './chat.js';
import { EventRoutes } from './events.js';
import { checkRequest, type GuardOptions, originAllowed } from './guard.js';
import { mediaRoutes } from './media-routes.js';
import { meshRoutes } from './mesh-routes.js';
import { metricsRoutes } from './metrics-routes.js';
import { modelRoutes } from './model-routes.js';
import { errorAnswer, HttpError } from './openai-errors.js';
import { planRoutes } from './plan-routes.js';
import { pullRoutes } from './pull-route.js';
import type { ApiContext, ApiRequest, Route } from './route.js';
import { trustRoutes } from './trust-routes.js';
import { tunnelRoutes } from './tunnel-routes.js';

/** The HTTP application; `guard` is asked for each request because the port is known only after the bind. */
export function createApp(api: ApiContext, guard: () => GuardOptions): Hono<{ Bindings: HttpBindings }> {
  const app = new Hono<{ Bindings: HttpBindings }>();
  app.use(async (request, next) => {
    const { incoming } = request.env;
    const startedAtMs = api.clock.now();
    // Node would take the first of two Hosts; somebody in front of it may have taken the second.
    if ((incoming.headersDistinct['host']?.length ?? 0) > 1) {
      throw new HttpError('http-invalid', 'the request has more than one Host');
    }
    checkRequest(guard(), {
      method: request.req.method,
      path: request.req.path,
      headers: incoming.headers,
    });
    allowOrigin(guard(), request.env);
    await next();
    api.log.debug('api-request', {
      method: request.req.method,
      path: request.req.path,
      status: request.res.status,
      tookMs: Math.round(api.clock.now() - startedAtMs),
    });
  });
  const routes = allRoutes(api);
  for (const route of routes) {
    app.on(route.method, [...route.paths], (request) => {
      authorize(route.access, api.tokens, request.env.incoming);
      return route.handle(request);
    });
  }
  for (const [path, methods] of methodsByPath(routes)) {
    app.all(path, (request) => {
      authorize('local', api.tokens, request.env.incoming);
      return otherMethod(request, methods);
    });
  }
  app.notFound((request) => {
    // What there is and what not is no business of strangers.
    authorize('local', api.tokens, request.env.incoming);
    return toResponse(
      new HttpError(
        'http-not-found',
        `there is no ${printable(request.req.path)}; chat is POST /v1/chat/completions`,
      ),
    );
  });
  app.onError((error, request) => {
    const answer = ciloError(request.req.path, error) ?? toResponse(error);
    if (answer.status >= 500) api.log.warn('api-request-failed', { path: request.req.path, error });
    return answer;
  });
  return app;
}

/** Every endpoint with the class of callers that may use it. */
export function allRoutes(api: ApiContext): Route[] {
  return [
    { method: 'GET', paths: ['/'], access: 'local', handle: page },
    ...meshRoutes(api),
    ...metricsRoutes(api),
    ...tunnelRoutes(api),
    ...authRoutes(api),
    ...trustRoutes(api),
    ...new EventRoutes(api).routes(),
    ...modelRoutes(api),
    ...pullRoutes(api),
    ...chatRoutes(api),
    ...planRoutes(api),
    ...mediaRoutes(),
  ];
}

function page(request: ApiRequest): Response {
  return request.body(PAGE_HTML, 200, {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': PAGE_CSP,
    'cache-control': 'no-cache',
  });
}

function methodsByPath(routes: readonly Route[]): Map<string, string[]> {
  const methods = new Map<string, string[]>();
  for (const { method, paths } of routes) {
    for (const path of paths) {
      const list = methods.get(path) ?? ['OPTIONS'];
      list.push(...(method === 'GET' ? ['GET', 'HEAD'] : [method]));
      methods.set(path, list);
    }
  }
  return methods;
}

function otherMethod(request: ApiRequest, methods: readonly string[]): Response {
  const allow = methods.join(', ');
  if (request.req.method === 'OPTIONS') {
    return request.body(null, 204, {
      allow,
      'access-control-allow-methods': allow,
      'access-control-allow-headers': 'authorization, content-type',
    });
  }
  const answer = toResponse(
    new HttpError('http-not-found', `${request.req.path} takes ${allow}, not ${request.req.method}`, {
      status: 405,
    }),
  );
  answer.headers.set('allow', allow);
  return answer;
}

/** Our own page under another loopback name may read the answer; nobody else is ever named here. */
function allowOrigin(guard: GuardOptions, { incoming, outgoing }: HttpBindings): void {
  const { origin, host } = incoming.headers;
  if (origin !== undefined && originAllowed(guard, origin, host ?? '')) {
    outgoing.setHeader('access-control-allow-origin', origin);
  }
}

/** An error as a response. */
export function toResponse(error: unknown): Response {
  const { status, body, headers } = errorAnswer(error);
  return new Response(JSON.stringify(body), {
    status,
    headers: { 'content-type': 'application/json', ...headers },
  });
}
