/**
 * What the demo's tunnel needs and two machines would have: an ssh server to log in to (the embedded one, in this process), a
 * key, a known_hosts file, and the peers file of the example with the tunnel added to it. All of it lies in the demo's folder.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { formatAddress, type Startable, silentLogger } from '../../shared/index.js';
import { createEmbeddedServer, type EmbeddedServer, generateKeyPair } from '../../tunnels/index.js';
import { EXAMPLES, FORWARD, MAC1, MAC2 } from './plan.js';

/** The server takes any name: the key decides. */
const USER = 'demo';

/** The far end of the tunnel, and the files that lead there. */
export class TunnelEnd implements Startable {
  readonly #folder: string;
  #server: EmbeddedServer | undefined;
  #ssh = '';

  /** `folder` exists and is readable by this user only. */
  constructor(folder: string) {
    this.#folder = path.join(folder, 'ssh');
  }

  /** mac1's peers file: that of the example, and in mac2's entry the tunnel. */
  get peersFile(): string {
    return path.join(this.#folder, MAC1.peersFile);
  }

  /** What the tunnel's entry says, for people: `demo@127.0.0.1:41373`. Empty before the start. */
  get destination(): string {
    return this.#ssh;
  }

  async start(): Promise<void> {
    mkdirSync(this.#folder, { mode: 0o700 });
    const key = await generateKeyPair('exo demo');
    this.#server = createEmbeddedServer({ authorizedKeys: [key.publicKey] }, { logger: silentLogger });
    await this.#server.start();
    this.#ssh = `${USER}@${formatAddress(this.#server.address)}`;
    const identity = this.#write('id_ed25519', key.privateKey);
    const knownHosts = this.#write('known_hosts', `${this.#server.knownHostsLine}\n`);
    // An empty one: what the user's own says of 127.0.0.1 or of every host is for other servers.
    const sshConfig = this.#write('ssh_config', '');
    const example = JSON.parse(readFileSync(path.join(EXAMPLES, MAC1.peersFile), 'utf8')) as Example;
    example.peers[MAC2.id]!.tunnel = { ssh: this.#ssh, forward: [FORWARD], identity, knownHosts, sshConfig };
    this.#write(MAC1.peersFile, `${JSON.stringify(example, null, 2)}\n`);
  }

  /** Cuts the tunnel's connection, as a crash of the server would; new ones are welcome. */
  cut(): void {
    this.#server?.killSessions();
  }

  async stop(): Promise<void> {
    await this.#server?.stop();
  }

  #write(name: string, text: string): string {
    const file = path.join(this.#folder, name);
    writeFileSync(file, text, { mode: 0o600 });
    return file;
  }
}

interface Example {
  readonly peers: Record<string, { tunnel?: object }>;
}
