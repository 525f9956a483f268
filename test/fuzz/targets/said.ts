/**
 * Texts of other programs, and of servers behind them: what ssh writes, a far shell, `arp`, a status that a peer wraps in a string.
 * None of them may be refused with anything but a reason; most are never refused. The first character says which it is.
 */
import assert from 'node:assert/strict';
import { readSurvey } from '../../../src/cli/connect/survey.js';
import { parseHardwarePorts } from '../../../src/discovery/interfaces.js';
import { parseArp, parseProcNetArp } from '../../../src/discovery/neighbours.js';
import { readNodeStatus } from '../../../src/inference/ring/node-status.js';
import { isPrintable, type Random } from '../../../src/shared/index.js';
import {
  explainFarRefusal,
  explainRemoteRefusal,
  isSessionOver,
  prohibitedPorts,
  readHostKey,
  readLogin,
} from '../../../src/tunnels/openssh/ssh-said.js';
import { explainExit } from '../../../src/tunnels/ssh/ssh-exit.js';
import type { FuzzTarget } from '../target.js';
import { keysOf } from './json-text.js';

const READERS: Readonly<Record<string, (text: string) => string>> = {
  s: (text) => {
    const login = readLogin(text);
    const { hostKey, hostKeyAdded } = readHostKey(text);
    for (const shown of [login.cipher, login.serverVersion, hostKey]) assert.ok(isPrintable(shown ?? ''));
    const ports = prohibitedPorts(text);
    return `${keysOf(login)} ${hostKeyAdded} ${isSessionOver(text)} ${explainRemoteRefusal(text)} ${explainFarRefusal(text)?.kind} ${Math.min(2, ports.length)}`;
  },
  e: (text) =>
    [true, false]
      .map((established) => {
        const exit = { exitCode: 255, signal: null, stderr: text, established };
        const failure = explainExit(exit, { destination: 'u@h', identity: ['/i'], knownHosts: '/k' });
        if ('refused' in failure) return failure.refused;
        assert.ok(
          failure.message !== '' && failure.message.length <= 400 + 2_000 && isPrintable(failure.message),
        );
        return failure.code;
      })
      .join(' '),
  u: (text) => {
    const survey = readSurvey(text);
    assert.ok(survey.home.startsWith('/'));
    for (const file of [survey.exo, survey.sent, survey.node?.file]) assert.ok(file?.startsWith('/') ?? true);
    return keysOf(survey);
  },
  a: (text) => `${Math.min(3, parseArp(text).length)} ${Math.min(3, parseProcNetArp(text).length)}`,
  h: (text) => String(Math.min(3, parseHardwarePorts(text).size)),
  n: (text) => {
    const status = readNodeStatus({ kind: 'opaque-status', requestId: 'r', status: text });
    return `${keysOf(status)} ${status?.model === null}`;
  },
};

const SAMPLES = [
  'sdebug1: Remote protocol version 2.0, remote software version OpenSSH_9.2p1\ndebug1: kex: server->client cipher: aes128-gcm@openssh.com MAC: <implicit>\ndebug1: Server host key: ssh-ed25519 SHA256:abc\n',
  'sdebug1: channel 0: new session [client-session] (inactive timeout: 0)\ndebug1: client_input_channel_req: channel 0 rtype exit-status reply 0\n',
  'schannel 3: open failed: administratively prohibited: open failed\r\ndebug1: channel 3: free: direct-tcpip: listening port 50052 for localhost port 1\nWarning: Permanently added x to the list of known hosts.',
  'edebug1: x\nu@h: Permission denied (publickey,password).\r\n',
  'e@@@@\nWARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!\nHost key verification failed.\n',
  'essh: Could not resolve hostname h: Name or service not known\nConnection closed by remote host',
  'econnect to host h port 22: Connection refused\nTimeout, server h not responding.\nmux_client: x',
  'uhello\nexo-survey-1\nhome=/home/u\nuser=u\nos=Linux\npath=/usr/bin:/bin::x\nnode=/usr/bin/node\nversion=v20.20.2\ntar=/bin/tar\nexo-survey-end\n',
  'a? (192.168.1.7) at 0:11:22:33:44:55 on en0\n  192.168.1.9   00-11-22-33-44-55  dynamic\nIP\n10.0.0.1 0x1 0x2 00:00:00:00:00:00 * eth0\n',
  'hHardware Port: Thunderbolt Bridge\nDevice: bridge0\n\nHardware Port: Wi-Fi\r\nDevice: en0\n',
  'n{"type":"node_status","node_id":"a","status":"start_process_prompt","base_shard":{"model_id":"m","n_layers":8}}',
];

export const said: FuzzTarget = {
  name: 'said',
  bytesMax: 64 * 1024,
  words: [
    'debug1: ',
    'channel 0: ',
    'open failed: ',
    '\n',
    '\r\n',
    'exo-survey-1\n',
    'exo-survey-end',
    'home=',
    'Permission denied',
  ],
  codes: ['tunnel-failed'],
  seeds: () => SAMPLES.map((sample) => Buffer.from(sample)),
  vary(input: Buffer, random: Random) {
    const kinds = Object.keys(READERS);
    const kind = kinds[Math.floor(random.next() * kinds.length)]!;
    return Buffer.concat([Buffer.from(kind), input.subarray(1)]);
  },
  run(input) {
    const text = input.toString('utf8');
    return `${text[0]} ${READERS[text[0] ?? '']?.(text.slice(1)) ?? 'nothing'}`;
  },
};
