/** An old peer's HTTP side, as far as tests need it: topology, one chat call, and what it saw on the wire. */
import { randomUUID } from 'node:crypto';
import http from 'node:http';

export function createApi(node, record, timeoutMs) {
  const server = http.createServer(async (request, response) => {
    const answer = (status, body) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(body));
    };
    try {
      const route = `${request.method} ${request.url}`;
      if (route === 'GET /healthcheck') return answer(200, { status: 'ok' });
      if (route === 'GET /topology' || route === 'GET /v1/topology') return answer(200, node.apiTopology());
      if (route === 'GET /frames') return answer(200, record.report());
      if (route === 'POST /v1/chat/completions')
        return answer(200, await chat(JSON.parse(await text(request))));
      answer(404, { detail: 'not found' });
    } catch (error) {
      answer(500, { detail: error.message });
    }
  });

  async function chat(body) {
    const requestId = randomUUID();
    const engine = node.engineOf(body.model);
    const tokens = await new Promise((resolve, reject) => {
      const all = [];
      const off = node.onTokens((id, more, finished) => {
        if (id !== requestId) return;
        all.push(...more);
        if (finished) done(resolve, all);
      });
      const timer = setTimeout(() => done(reject, new Error('Response generation timed out')), timeoutMs);
      const done = (fn, value) => {
        clearTimeout(timer);
        off();
        fn(value);
      };
      const base = { model_id: body.model, start_layer: 0, end_layer: 0, n_layers: engine.layers };
      node
        .processPrompt(base, engine.prompt(body.messages), requestId, null)
        .catch((error) => done(reject, error));
    });
    return {
      id: `chatcmpl-${requestId}`,
      object: 'chat.completion',
      model: body.model,
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: engine.decode(tokens) },
          finish_reason: tokens.at(-1) === engine.eos ? 'stop' : 'length',
        },
      ],
      usage: { prompt_tokens: 1, completion_tokens: tokens.length, total_tokens: tokens.length + 1 },
      tokens,
    };
  }

  return {
    listen: (port) =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(port, '127.0.0.1', () => resolve(server.address().port));
      }),
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function text(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}
