/** ssh keys as proofs: OpenSSH's own keys, signatures, agent and authorized_keys. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import { silentLogger, systemClock, VirtualClock } from '../../src/shared/index.js';
import { AuthorizedKeys, lineFault, parseAuthorizedKeys } from '../../src/trust/ssh-authorized-keys.js';
import {
  isSshSignature,
  parseSshPublicKey,
  type SshPublicKey,
  sshKeyTypeFault,
  unpackSignature,
} from '../../src/trust/ssh-public-key.js';
import { findSshSigners } from '../../src/trust/ssh-signer.js';
import { sshSignedData } from '../../src/trust/ssh-statement.js';
import { eventually } from '../support/eventually.js';
import fc from '../support/properties.js';
import '../support/leaks.js';
import { Child } from '../support/processes.js';
import { folderOf } from './folders.js';
import { makeEnd, meet, shake, short } from './parties.js';

const noSsh = spawnSync('ssh-keygen', ['-?']).error !== undefined && 'openssh-client is not installed';
const KINDS: ReadonlyArray<readonly [string, string]> = [
  ['ed25519', ''],
  ['rsa', '2048'],
  ['rsa', '3072'],
  ['ecdsa', '256'],
  ['ecdsa', '384'],
  ['ecdsa', '521'],
];

/** Makes a key pair; returns the private file. */
function makeKey(folder: string, type = 'ed25519', bits = '', passphrase = ''): string {
  const file = path.join(folder, `${type}${bits}${passphrase}`);
  execFileSync('ssh-keygen', [
    '-q',
    '-t',
    type,
    ...(bits === '' ? [] : ['-b', bits]),
    '-N',
    passphrase,
    '-C',
    'a person',
    '-f',
    file,
  ]);
  return file;
}

/** The signature that ssh-keygen -Y sign makes in our namespace, with its format in front. */
function keygenSignature(file: string, message: Buffer): Buffer {
  const armoured = execFileSync('ssh-keygen', ['-q', '-Y', 'sign', '-n', 'exo-mesh', '-f', file], {
    input: message,
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const bytes = Buffer.from(armoured.replace(/-----[A-Z ]+-----/g, ''), 'base64');
  // MAGIC, version, public key, namespace, reserved, hash, signature (PROTOCOL.sshsig).
  let at = 6 + 4;
  const fields: Buffer[] = [];
  while (at < bytes.length) {
    const length = bytes.readUInt32BE(at);
    fields.push(bytes.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return fields[4]!;
}

function publicOf(file: string): SshPublicKey {
  return parseSshPublicKey(readFileSync(`${file}.pub`, 'utf8'));
}

/** An agent with these keys; ends with the test. */
async function startAgent(t: TestContext, folder: string, files: readonly string[]): Promise<string> {
  const socket = path.join(folder, 'agent.sock');
  const agent = new Child('ssh-agent', ['-D', '-a', socket]);
  t.after(() => agent.stop());
  const env = { ...process.env, SSH_AUTH_SOCK: socket };
  // 1: it answers, and has no keys.
  await eventually(
    { timeoutMs: 10_000, what: 'an ssh agent' },
    () => spawnSync('ssh-add', ['-l'], { env }).status === 1,
  );
  for (const file of files) {
    execFileSync('ssh-add', ['-q', file], {
      env: { ...process.env, SSH_AUTH_SOCK: socket },
      stdio: 'ignore',
    });
  }
  return socket;
}

for (const [type, bits] of KINDS) {
  test(`a signature by ${type}${bits} of ssh-keygen is accepted, any other is not`, { skip: noSsh }, (t) => {
    const folder = folderOf(t);
    const file = makeKey(folder, type, bits);
    const key = publicOf(file);
    const message = Buffer.from('a statement');
    const packed = unpackSignature(keygenSignature(file, message))!;
    const check = (data: Buffer, signature = packed.signature, format = packed.format): boolean =>
      isSshSignature(key, data, signature, format);
    assert.equal(check(sshSignedData(message)), true);
    assert.equal(check(sshSignedData(Buffer.from('another'))), false);
    assert.equal(check(message), false);
    for (let at = 0; at < packed.signature.length; at += 7) {
      const damaged = Buffer.from(packed.signature);
      damaged[at]! ^= 1;
      assert.equal(check(sshSignedData(message), damaged), false, `byte ${at}`);
    }
    for (const format of [
      'ssh-rsa',
      'ssh-ed25519',
      'rsa-sha2-256',
      'rsa-sha2-512',
      'ecdsa-sha2-nistp256',
      '',
    ]) {
      if (format !== packed.format)
        assert.equal(check(sshSignedData(message), packed.signature, format), false, format);
    }
    const printed = execFileSync('ssh-keygen', ['-l', '-f', `${file}.pub`], { encoding: 'utf8' });
    assert.equal(key.fingerprint, printed.split(' ')[1]);
  });

  test(`a key file of ${type}${bits} signs as ssh-keygen verifies`, { skip: noSsh }, async (t) => {
    const folder = folderOf(t);
    const file = makeKey(folder, type, bits);
    const signers = await findSshSigners({ keyFiles: [file] }, { clock: systemClock, log: silentLogger });
    assert.equal(signers.length, 1);
    const data = sshSignedData(Buffer.from('x'));
    const packed = unpackSignature(await signers[0]!.sign(data))!;
    assert.ok(isSshSignature(publicOf(file), data, packed.signature, packed.format));
    assert.ok(packed.format !== 'ssh-rsa');
  });
}

test('keys that are not taken are refused in words that say what to do', { skip: noSsh }, (t) => {
  const folder = folderOf(t);
  const refusal = (text: string): string => {
    try {
      parseSshPublicKey(text);
    } catch (error) {
      assert.equal((error as { code: string }).code, 'ssh-key-unusable');
      return (error as Error).message;
    }
    return '';
  };
  const weak = makeKey(folder, 'rsa', '1024');
  assert.match(refusal(readFileSync(`${weak}.pub`, 'utf8')), /1024 bits is too short.*ssh-keygen -t ed25519/);
  assert.match(refusal('sk-ssh-ed25519@openssh.com AAAA'), /security key.*not supported/);
  assert.match(refusal('ssh-ed25519-cert-v01@openssh.com AAAA'), /certificates.*list the key itself/);
  assert.match(refusal('ssh-dss AAAA'), /too weak/);
  assert.match(refusal('-----BEGIN OPENSSH PRIVATE KEY-----'), /not a public key/);
  assert.match(refusal(''), /not a public key/);
  const line = readFileSync(`${makeKey(folder)}.pub`, 'utf8').split(' ');
  assert.match(refusal(`ssh-rsa ${line[1]}`), /do not fit together/);
  assert.match(refusal(`ssh-ed25519 ${line[1]!.slice(0, 40)}`), /damaged/);
  assert.equal(sshKeyTypeFault('ssh-ed25519'), undefined);
});

test('only our own errors come out of any text in the place of a key', () => {
  const blob = fc.array(
    fc.oneof(
      fc.uint8Array({ maxLength: 70 }),
      fc.constantFrom('ssh-ed25519', 'ssh-rsa', 'ecdsa-sha2-nistp256', 'nistp256'),
    ),
    { maxLength: 4 },
  );
  fc.assert(
    fc.property(
      fc.constantFrom('ssh-ed25519', 'ssh-rsa', 'ecdsa-sha2-nistp256', 'x'),
      blob,
      fc.string(),
      (type, parts, tail) => {
        const bytes = Buffer.concat(
          parts.flatMap((part) => {
            const field = Buffer.from(part as string);
            const length = Buffer.alloc(4);
            length.writeUInt32BE(field.length);
            return [length, field];
          }),
        );
        try {
          parseSshPublicKey(`${type} ${bytes.toString('base64')} ${tail}`);
        } catch (error) {
          assert.equal((error as { code: string }).code, 'ssh-key-unusable');
        }
      },
    ),
    { numRuns: 5_000 },
  );
});

test('authorized_keys: a key is let in by its line, and by none that restricts it', { skip: noSsh }, (t) => {
  const folder = folderOf(t);
  const pub = readFileSync(`${makeKey(folder)}.pub`, 'utf8').trim();
  const key = parseSshPublicKey(pub);
  const other = readFileSync(`${makeKey(folder, 'ecdsa', '256')}.pub`, 'utf8').trim();
  const file = path.join(folder, 'authorized_keys');
  const nowMs = Date.UTC(2026, 5, 1);
  const ask = (text: string): string => {
    writeFileSync(file, text);
    const found = new AuthorizedKeys(file).find(key, nowMs);
    return found.allowed ? `in: ${found.comment}` : found.why;
  };
  assert.equal(ask(`# people\n\n${other}\n${pub}\n`), 'in: a person');
  assert.equal(ask(`no-pty,no-X11-forwarding,environment="A=\\"b c\\", d" ${pub}`), 'in: a person');
  assert.equal(ask(`expiry-time="20270101" ${pub}`), 'in: a person');
  assert.match(ask(other), /is not in /);
  assert.match(ask(`#${pub}`), /is not in /);
  assert.match(ask(`expiry-time="20260101Z" ${pub}`), /line 1: expiry-time 20260101Z is over/);
  assert.equal(ask(`expiry-time="20260101Z" ${pub}\n${pub}`), 'in: a person');
  assert.match(ask(`expiry-time="tomorrow" ${pub}`), /not of the form/);
  assert.match(ask(`expiry-time="20269901" ${pub}`), /not of the form/);
  assert.match(ask(`cert-authority ${pub}`), /cert-authority lines are not supported/);
  assert.match(ask(`from="10.0.0.0/8" ${pub}`), /from= cannot be checked/);
  for (const option of [
    'command="rsync"',
    'restrict',
    'no-port-forwarding',
    'permitopen="a:1"',
    'principals="x"',
    'new-one',
  ]) {
    assert.match(ask(`${option} ${pub}\n${pub}`), /line 1: the option .* restricts the key/, option);
  }
  assert.match(ask(`command="a b ${pub}`), /is not in /, 'a quote that does not end');
  assert.match(ask(`no-pty;restrict ${pub}`), /is not in /, 'what is no list of options');
});

test('authorized_keys: the file is read as it is now, and not where others may write it', {
  skip: noSsh,
}, (t) => {
  const folder = folderOf(t);
  const pub = readFileSync(`${makeKey(folder)}.pub`, 'utf8');
  const key = parseSshPublicKey(pub);
  const file = path.join(folder, 'authorized_keys');
  const keys = new AuthorizedKeys(file);
  const unusable = (message: RegExp) => ({ code: 'ssh-key-unusable', message });
  assert.throws(() => keys.find(key, 0), unusable(/cannot be read/));
  writeFileSync(file, pub);
  assert.equal(keys.find(key, 0).allowed, true);
  writeFileSync(file, '');
  assert.equal(keys.find(key, 0).allowed, false);
  writeFileSync(file, pub);
  chmodSync(file, 0o664);
  assert.throws(() => keys.find(key, 0), unusable(/run: chmod go-w .*authorized_keys/));
  chmodSync(file, 0o644);
  assert.equal(keys.find(key, 0).allowed, true);
  chmodSync(folder, 0o777);
  assert.throws(() => keys.find(key, 0), unusable(/may be written by others/));
  chmodSync(folder, 0o700);
});

test('authorized_keys: any text is read without an error, and a line has what is in it', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.constantFrom('ssh-ed25519', ' ', '"', '\\"', ',', 'AAAA', 'from=', 'restrict', '\n', '#', '='),
        { maxLength: 20 },
      ),
      (parts) => {
        for (const line of parseAuthorizedKeys(parts.join(''))) {
          assert.match(line.type, /^ssh-/);
          const restricted = line.options.some(({ name }) => name === 'restrict' || name === 'from');
          if (restricted) assert.notEqual(lineFault(line, 0), undefined);
        }
      },
    ),
    { numRuns: 5_000 },
  );
});

test('an agent signs, with SHA-2 for RSA; keys with a passphrase need it', { skip: noSsh }, async (t) => {
  const folder = folderOf(t);
  const files = [makeKey(folder), makeKey(folder, 'rsa', '2048'), makeKey(folder, 'ecdsa', '256')];
  const socket = await startAgent(t, folder, files);
  const components = { clock: systemClock, log: silentLogger };
  const data = sshSignedData(Buffer.from('x'));
  const signers = await findSshSigners({ agentSocket: socket }, components);
  assert.deepEqual(
    signers.map(({ publicKey }) => publicKey.fingerprint),
    files.map((file) => publicOf(file).fingerprint),
  );
  for (const signer of signers) {
    const packed = unpackSignature(await signer.sign(data))!;
    assert.ok(isSshSignature(signer.publicKey, data, packed.signature, packed.format), packed.format);
  }
  const named = await findSshSigners({ agentSocket: socket, keyFiles: [`${files[1]!}.pub`] }, components);
  assert.deepEqual(
    named.map(({ publicKey }) => publicKey.type),
    ['ssh-rsa'],
  );

  const warnings: string[] = [];
  const log = {
    ...silentLogger,
    warn: (_event: string, fields?: object) => void warnings.push((fields as { error: Error }).error.message),
  };
  const locked = makeKey(folder, 'ed25519', '', 'secret phrase');
  assert.deepEqual(await findSshSigners({ keyFiles: [locked] }, { clock: systemClock, log }), []);
  assert.match(warnings.pop() ?? '', /if it has a passphrase, run: ssh-add /);
  chmodSync(files[0]!, 0o644);
  assert.deepEqual(await findSshSigners({ keyFiles: [files[0]!] }, { clock: systemClock, log }), []);
  assert.match(warnings.pop() ?? '', /chmod 600/);
  assert.deepEqual(
    await findSshSigners({ agentSocket: path.join(folder, 'none') }, { clock: systemClock, log }),
    [],
  );
  assert.match(warnings.pop() ?? '', /the ssh agent at .* cannot be used.*ssh-add -l/);
});

test('an agent that does not answer, or answers nonsense, is left', async (t) => {
  const folder = folderOf(t);
  const components = { clock: new VirtualClock(), log: silentLogger };
  for (const answer of [undefined, Buffer.from('000000050c00000009', 'hex'), Buffer.alloc(64, 0xff)]) {
    const socket = path.join(folder, `agent-${answer?.length ?? 'silent'}`);
    const sockets = new Set<{ destroy(): void }>();
    const server = createServer((each) => {
      sockets.add(each);
      each.on('error', () => undefined);
      each.once('data', () => {
        if (answer !== undefined) each.end(answer);
        else void components.clock.advance(3_000);
      });
    });
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    try {
      assert.deepEqual(await findSshSigners({ agentSocket: socket }, components), []);
    } finally {
      for (const each of sockets) each.destroy();
      await new Promise((resolve) => server.close(resolve));
    }
  }
});

test('a listed ssh key makes its node trusted, bound to the connection', { skip: noSsh }, async (t) => {
  const folder = folderOf(t);
  const file = makeKey(folder);
  const stranger = makeKey(folder, 'ecdsa', '256');
  const list = path.join(folder, 'authorized_keys');
  writeFileSync(list, readFileSync(`${file}.pub`));
  const signing = (keyFile: string) => ({
    ssh: { signers: { keyFiles: [keyFile] }, authorizedKeys: undefined },
  });
  const far = await makeEnd('far', {
    requireTrust: true,
    ssh: { signers: undefined, authorizedKeys: new AuthorizedKeys(list) },
  });
  const near = await makeEnd('near', signing(file));
  assert.equal(short((await shake(near, far)).acceptor), 'ssh-key');
  assert.equal(far.store.get('near')?.learnt, 'ssh-key');
  assert.equal(short((await shake(await makeEnd('other', signing(stranger)), far)).acceptor), 'auth-failed');

  const [facts, theirs] = meet(near, far);
  const proofs = await near.authenticator.prove(facts);
  const moved = { ...theirs, binding: Buffer.alloc(32) };
  assert.equal(short(await far.authenticator.judge(moved, proofs)), 'auth-failed');
  assert.equal(short(await far.authenticator.judge({ ...theirs, role: 'dialler' }, proofs)), 'auth-failed');
  writeFileSync(list, '');
  assert.equal(short(await far.authenticator.judge(theirs, proofs)), 'auth-failed', 'taken out of the list');
});

test('an agent is left alone where something else proves', { skip: noSsh }, async (t) => {
  const file = makeKey(folderOf(t));
  const options = {
    token: 'a token that people made up',
    ssh: { signers: { keyFiles: [file] }, authorizedKeys: undefined },
  };
  const [near, far] = [await makeEnd('near', options), await makeEnd('far')];
  const [facts] = meet(near, far);
  assert.deepEqual(
    (await near.authenticator.prove(facts)).map(({ method }) => method),
    ['mesh-key'],
  );
});
