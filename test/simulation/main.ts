import { simulate } from './simulate.js';

const [from = '1', count = '5', secs = '600', bug] = process.argv.slice(2);
for (let seed = Number(from); seed < Number(from) + Number(count); seed++) {
  const t = performance.now();
  const r = await simulate({ seed, virtualSeconds: Number(secs), bug: bug as never });
  console.log(
    seed,
    Math.round(performance.now() - t),
    'ms',
    r.nodes,
    r.events,
    r.hash,
    Math.round(r.settledMsMax),
    JSON.stringify(r.questions),
    r.failure ?? 'ok',
  );
  if (r.failure && process.env.V) console.log([...r.schedule, '---', ...r.lastEvents].join('\n'));
}
