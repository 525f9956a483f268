/** Options held against each other: what contradicts, what lacks its companion, what has no effect. Pure. */
import { ExoError, isLoopback } from '../../shared/index.js';
import { NODE_OPTIONS, type RawOptions } from '../options/index.js';
import type { ConfigNote, OptionValues } from './schema.js';

/** Throws `option-unsupported` for what only the original can do. */
export function checkUnsupported(raw: RawOptions): void {
  for (const { name, unsupported } of NODE_OPTIONS) {
    if (unsupported === true && raw[name] !== undefined) {
      throw new ExoError('option-unsupported', `--${name} is not supported yet; leave it out`);
    }
  }
  const modules = raw['discovery-module'];
  if (typeof modules === 'string' && modules.split(',').some((item) => /^\s*tailscale\s*$/i.test(item))) {
    throw new ExoError(
      'option-unsupported',
      '--discovery-module tailscale is not supported yet; name the tailnet addresses in a peers file and use manual',
    );
  }
}

/** Throws `option-missing` or `option-conflict`; returns what is only worth a line. `given`: options that the user wrote. */
export function checkContradictions(
  values: OptionValues,
  nodeHost: string,
  given: ReadonlySet<string>,
): ConfigNote[] {
  const modules = new Set(values['discovery-module']);
  checkCompanions(values, modules);
  checkPorts(values, nodeHost, modules.has('tcp'));
  if (modules.has('direct')) checkDirectPeer(values, nodeHost);
  const notes: ConfigNote[] = [];
  const unused = (name: string, needs: string) => {
    if (given.has(name)) notes.push({ level: 'warn', message: `--${name} has no effect without ${needs}` });
  };
  if (!modules.has('manual')) unused('discovery-config-path', '--discovery-module manual');
  if (!modules.has('direct')) {
    for (const name of ['peer-host', 'peer-port', 'peer-id']) unused(name, '--discovery-module direct');
  }
  if (values['inference-engine'].toLowerCase() === 'dummy') {
    for (const name of ['device', 'threads', 'quantisation']) unused(name, '--inference-engine ggml');
  }
  if (!modules.has('udp')) {
    unused('broadcast-port', '--discovery-module udp');
    unused('interface-type-filter', '--discovery-module udp');
    if (!modules.has('tcp')) unused('listen-port', '--discovery-module udp or tcp');
  }
  return notes;
}

function checkCompanions(values: OptionValues, modules: ReadonlySet<string>): void {
  if (modules.has('manual') && values['discovery-config-path'] === undefined) {
    throw new ExoError(
      'option-missing',
      '--discovery-module manual needs --discovery-config-path <file>, the list of peers; peers.example.json shows its form',
    );
  }
  if (!modules.has('direct')) return;
  const missing = ['peer-host', 'peer-port'].filter((name) => values[name as 'peer-host'] === undefined);
  if (missing.length > 0) {
    throw new ExoError(
      'option-missing',
      `--discovery-module direct needs ${missing.map((name) => `--${name}`).join(' and ')}: the peer to connect to, for example --peer-host 127.0.0.1 --peer-port 49703`,
    );
  }
}

function checkPorts(values: OptionValues, nodeHost: string, listensTcp: boolean): void {
  const node = { option: 'node-port', host: nodeHost, port: values['node-port'] };
  const api = {
    option: 'chatgpt-api-port',
    host: values['chatgpt-api-host'],
    port: values['chatgpt-api-port'],
  };
  const discovery = { option: 'listen-port', host: '0.0.0.0', port: values['listen-port'] };
  const pairs: Array<readonly [typeof node, typeof node]> = [[node, api]];
  if (listensTcp) pairs.push([node, discovery], [api, discovery]);
  for (const [a, b] of pairs) {
    if (a.port !== 0 && a.port === b.port && overlaps(a.host, b.host)) {
      throw new ExoError(
        'option-conflict',
        `--${a.option} and --${b.option} are both ${a.port}; give one of them another number`,
      );
    }
  }
}

function checkDirectPeer(values: OptionValues, nodeHost: string): void {
  const host = values['peer-host']!;
  const port = values['peer-port']!;
  if (!isLoopback(host)) return;
  if (port === values['node-port'] && overlaps(host, nodeHost)) {
    throw new ExoError(
      'option-conflict',
      `--peer-host ${host} --peer-port ${port} is this node itself; name the peer, or the local end of its tunnel`,
    );
  }
  if (port === values['chatgpt-api-port'] && overlaps(host, values['chatgpt-api-host'])) {
    throw new ExoError(
      'option-conflict',
      `--peer-port ${port} is this node’s own HTTP port; if a tunnel to the peer ends there, give the API another one with --chatgpt-api-port`,
    );
  }
}

const WILDCARDS: ReadonlySet<string> = new Set(['0.0.0.0', '::']);

/** Whether a listener on one host is in the way of one on the other (same port). */
function overlaps(a: string, b: string): boolean {
  if (WILDCARDS.has(a) || WILDCARDS.has(b) || a === b) return true;
  const four = (host: string) => (host === 'localhost' ? '127.0.0.1' : host);
  return four(a) === four(b);
}
