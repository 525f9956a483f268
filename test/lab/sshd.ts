/** A real OpenSSH server on a host of the lab, with its own host key and one client key, for root by key only. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { eventually, Hopeless } from '../support/eventually.js';
import type { Child } from '../support/processes.js';
import type { Host, Lab } from './lab.js';

/** A running sshd and what a client needs to log in to it. */
export interface LabSshd {
  child: Child;
  readonly port: number;
  /** Options for `ssh`: config, key, known hosts, port. They stand where a person would rely on ~/.ssh. */
  readonly clientOptions: readonly string[];
  /** `user@host`. */
  readonly destination: string;
  /** Starts it again after its child was ended. */
  restart(): Promise<void>;
}

/** Starts sshd on `host` and resolves when it accepts connections. */
export async function startSshd(lab: Lab, host: Host, port = 2222): Promise<LabSshd> {
  const folder = lab.cleanup.folder();
  const hostKey = path.join(folder, 'host_key');
  const clientKey = path.join(folder, 'client_key');
  for (const file of [hostKey, clientKey]) {
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file]);
  }
  copyFileSync(`${clientKey}.pub`, path.join(folder, 'authorized_keys'));
  const hostKeyLine = execFileSync('ssh-keygen', ['-y', '-f', hostKey], { encoding: 'utf8' }).trim();
  const listen = host.address;
  writeFileSync(path.join(folder, 'known_hosts'), `[${listen}]:${port} ${hostKeyLine}\n`);
  writeFileSync(
    path.join(folder, 'sshd_config'),
    [
      `Port ${port}`,
      `ListenAddress ${listen}`,
      `HostKey ${hostKey}`,
      `AuthorizedKeysFile ${path.join(folder, 'authorized_keys')}`,
      `PidFile ${path.join(folder, 'sshd.pid')}`,
      // The folder lies under a world-writable /tmp.
      'StrictModes no',
      'UsePAM no',
      'PasswordAuthentication no',
      'KbdInteractiveAuthentication no',
      'PermitRootLogin prohibit-password',
      'AllowTcpForwarding yes',
      'GatewayPorts clientspecified',
      // A cut client must give its -R ports back soon.
      'ClientAliveInterval 1',
      'ClientAliveCountMax 3',
      'PrintMotd no',
      '',
    ].join('\n'),
  );
  writeFileSync(
    path.join(folder, 'ssh_config'),
    [
      'Host *',
      `  Port ${port}`,
      `  IdentityFile ${clientKey}`,
      '  IdentitiesOnly yes',
      `  UserKnownHostsFile ${path.join(folder, 'known_hosts')}`,
      '  StrictHostKeyChecking yes',
      '  BatchMode yes',
      '',
    ].join('\n'),
  );
  mkdirSync('/run/sshd', { recursive: true });

  const start = async (): Promise<Child> => {
    const args = ['-D', '-e', '-f', path.join(folder, 'sshd_config')];
    const child = host.start('/usr/sbin/sshd', args, { name: 'sshd' });
    await child.sees(/Server listening on/, 10_000);
    return child;
  };
  const sshd: LabSshd = {
    child: await start(),
    port,
    clientOptions: ['-F', path.join(folder, 'ssh_config')],
    destination: `root@${listen}`,
    async restart() {
      await sshd.child.stop();
      sshd.child = await start();
    },
  };
  // Sessions are children of sshd with their own process groups: they end with the namespace.
  return sshd;
}

/** Starts `ssh` on a host as typed and resolves when every local port in `ready` accepts. */
export async function startSsh(
  client: Host,
  sshd: LabSshd,
  args: readonly string[],
  ready: readonly number[] = [],
): Promise<Child> {
  const ssh = client.start('ssh', [...sshd.clientOptions, ...args], { name: `ssh ${args.join(' ')}` });
  for (const port of ready) {
    await eventually({ timeoutMs: 15_000, what: `ssh listens on ${port}`, onLate: () => ssh.output }, () => {
      if (ssh.exit !== undefined) throw new Hopeless(`ssh ended (${ssh.exit})`);
      return client.exec('ss', ['-Hltn', `sport = :${port}`]).trim() !== '';
    });
  }
  return ssh;
}
