/** Ours: keeps `inFlight` pings on the way over one connection. One line of JSON in, one out. */
import { createInterface } from 'node:readline';
import { connect } from './speaker.js';

const connection = await connect(Number(process.argv[2]));

function round({ size, count, inFlight }: { size: number; count: number; inFlight: number }) {
  const ping = { kind: 'ping', data: Buffer.alloc(size) } as const;
  return new Promise((resolve, reject) => {
    let sent = 0;
    let done = -inFlight;
    const startedAt = performance.now();
    const next = () => {
      done += 1;
      if (sent < count) {
        sent += 1;
        connection.request(ping).then(next, reject);
      } else if (done === count) resolve({ perSecond: (count * 1000) / (performance.now() - startedAt) });
    };
    for (let lane = 0; lane < inFlight; lane++) next();
  });
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await round(JSON.parse(line))));
}
process.exit();
