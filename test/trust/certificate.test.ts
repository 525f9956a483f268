/** The certificate of a node key, as OpenSSL and Node's TLS see it. */
import assert from 'node:assert/strict';
import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import test from 'node:test';
import tls from 'node:tls';
import { systemRandom } from '../../src/shared/index.js';
import { createCredentials } from '../../src/trust/certificate.js';
import { rawPublicKey } from '../../src/trust/ed25519.js';
import { keptCredentials } from '../../src/trust/kept-certificate.js';
import { loadNodeKey } from '../../src/trust/node-key.js';
import { folderOf } from './folders.js';

test('a certificate carries the node key, is signed by it, and has no end', async () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const { certificatePem, privateKeyPem } = await createCredentials({ privateKey });
  const certificate = new X509Certificate(certificatePem);
  assert.ok(certificate.verify(publicKey));
  assert.ok(certificate.checkPrivateKey(privateKey));
  assert.deepEqual(rawPublicKey(certificate.publicKey), rawPublicKey(publicKey));
  assert.equal(certificate.validTo, 'Dec 31 23:59:59 9999 GMT');
  assert.equal(certificate.subject, 'CN=exo node');
  assert.equal(certificate.ca, false);
  assert.deepEqual(rawPublicKey(createPrivateKey(privateKeyPem)), rawPublicKey(privateKey));
});

test('a certificate depends on the key alone', async () => {
  const { privateKey } = generateKeyPairSync('ed25519');
  const other = generateKeyPairSync('ed25519').privateKey;
  const first = await createCredentials({ privateKey });
  assert.deepEqual(await createCredentials({ privateKey }), first);
  const second = await createCredentials({ privateKey: other });
  assert.notEqual(
    new X509Certificate(second.certificatePem).serialNumber,
    new X509Certificate(first.certificatePem).serialNumber,
  );
});

test('two ends with such certificates speak TLS 1.3 and see each other’s key', async () => {
  const keys = [
    generateKeyPairSync('ed25519').privateKey,
    generateKeyPairSync('ed25519').privateKey,
  ] as const;
  const [server, client] = await Promise.all(keys.map((privateKey) => createCredentials({ privateKey })));
  const listener = tls.createServer({
    cert: server!.certificatePem,
    key: server!.privateKeyPem,
    requestCert: true,
    rejectUnauthorized: false,
    minVersion: 'TLSv1.3',
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const accepted = once(listener, 'secureConnection') as Promise<[tls.TLSSocket]>;
  const socket = tls.connect({
    host: '127.0.0.1',
    port: (listener.address() as AddressInfo).port,
    cert: client!.certificatePem,
    key: client!.privateKeyPem,
    rejectUnauthorized: false,
    minVersion: 'TLSv1.3',
  });
  try {
    const [[far]] = await Promise.all([accepted, once(socket, 'secureConnect')]);
    assert.equal(socket.getProtocol(), 'TLSv1.3');
    assert.deepEqual(rawPublicKey(socket.getPeerX509Certificate()!.publicKey), rawPublicKey(keys[0]));
    assert.deepEqual(rawPublicKey(far.getPeerX509Certificate()!.publicKey), rawPublicKey(keys[1]));
    far.destroy();
  } finally {
    socket.destroy();
    listener.close();
    await once(listener, 'close');
  }
});

test('a certificate is kept beside its key, and made again where it is damaged or of another key', async (t) => {
  const folder = path.join(folderOf(t), 'nodes', 'one');
  const { nodeKey } = loadNodeKey(folder, { random: systemRandom });
  const file = path.join(folder, 'certificate.pem');
  const made = await keptCredentials(folder, nodeKey);
  assert.equal(readFileSync(file, 'utf8'), made.certificatePem);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  const { ino } = statSync(file);
  assert.deepEqual(await keptCredentials(folder, nodeKey), made);
  assert.equal(statSync(file).ino, ino, 'it is not written again');
  const other = await createCredentials({ privateKey: generateKeyPairSync('ed25519').privateKey });
  for (const wrong of ['', 'no certificate', made.certificatePem.replace('MI', 'MJ'), other.certificatePem]) {
    writeFileSync(file, wrong);
    assert.deepEqual(await keptCredentials(folder, nodeKey), made);
    assert.equal(readFileSync(file, 'utf8'), made.certificatePem);
  }
  assert.deepEqual(await keptCredentials(null, nodeKey), made);
  rmSync(file);
  mkdirSync(file);
  assert.deepEqual(
    await keptCredentials(folder, nodeKey),
    made,
    'a file that cannot be written is no reason not to start',
  );
});
