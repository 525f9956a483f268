/** Ours: keeps `inFlight` pings on the way over one connection. One line of JSON in, one out. */
import { createInterface } from 'node:readline';
import { connect } from './speaker.js';

const connection = await connect(Number(process.argv[2]));

async function round({ size, count, inFlight }: { size: number; count: number; inFlight: number }) {
  const data = Buffer.alloc(size);
  let sent = 0;
  const lane = async () => {
    while (sent < count) {
      sent += 1;
      await connection.request({ kind: 'ping', data });
    }
  };
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: inFlight }, lane));
  return { perSecond: (count * 1000) / (performance.now() - startedAt) };
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await round(JSON.parse(line))));
}
process.exit();
