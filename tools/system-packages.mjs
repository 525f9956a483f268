/**
 * System programs that tests use: installs the missing ones where it may (apt, as root) and says
 * what it does; elsewhere it says what is missing and what is skipped for that. Never fails: a test that lacks
 * its program is skipped by name.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import path from 'node:path';

/** Program (or another one that does for it) → Debian package, and what is skipped without it. */
const NEEDED = [
  { program: 'ip', package: 'iproute2', skips: 'all namespace tests' },
  { program: 'tc', package: 'iproute2', skips: 'tests over a slow link' },
  { program: 'ss', package: 'iproute2', skips: 'tests over ssh' },
  { program: 'nft', package: 'nftables', skips: 'all namespace tests' },
  { program: 'sysctl', package: 'procps', skips: 'tests behind NAT' },
  { program: 'ps', package: 'procps', skips: 'the check that nothing is left running' },
  { program: 'faketime', package: 'faketime', skips: 'clocks that jump' },
  { program: 'ssh', package: 'openssh-client', skips: 'tests over ssh' },
  // Installed with systemd running it would start a server for everyone on port 22: that is the owner's choice.
  { program: 'sshd', package: 'openssh-server', skips: 'tests over ssh', startsDaemon: true },
  { program: 'zsh', package: 'zsh', skips: 'completion in zsh' },
  { program: 'fish', package: 'fish', skips: 'completion in fish' },
  {
    program: 'chromium',
    others: ['chromium-browser', 'google-chrome'],
    package: 'chromium',
    skips: 'pages in a real browser',
  },
];

const FOLDERS = [...(process.env.PATH ?? '').split(path.delimiter), '/usr/sbin', '/sbin', '/usr/bin', '/bin'];

const isThere = ({ program, others = [] }) => [program, ...others].some(present);

function present(program) {
  return FOLDERS.some((folder) => {
    try {
      accessSync(path.join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/**
 * Installs what is missing where it may; prints what it does and what stays missing.
 * @param more further programs that the caller needs, as in the table above
 */
export function ensureSystemPackages(more = []) {
  const missing = [...NEEDED, ...more].filter((entry) => !isThere(entry));
  if (missing.length === 0) return;
  const mayInstall = process.platform === 'linux' && process.getuid?.() === 0 && present('apt-get');
  const systemd = existsSync('/run/systemd/system');
  const wanted = mayInstall ? missing.filter((entry) => !(entry.startsDaemon && systemd)) : [];
  if (wanted.length > 0) {
    const packages = [...new Set(wanted.map((entry) => entry.package))];
    console.log(`installing ${packages.join(' ')} with apt-get`);
    const apt = (...args) =>
      spawnSync('apt-get', ['-o', 'DPkg::Lock::Timeout=300', '-qq', ...args], {
        stdio: ['ignore', 'ignore', 'inherit'],
        env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
        timeout: 300_000,
      }).status === 0;
    const install = (...names) => apt('install', '-y', '--no-install-recommends', ...names);
    // One that this distribution does not have would keep out all others.
    if (!apt('update') || (!install(...packages) && !packages.map((name) => install(name)).every(Boolean))) {
      console.log('apt-get did not succeed');
    }
  }
  for (const entry of missing.filter((entry) => !isThere(entry))) {
    console.log(
      `not installed: ${entry.program} (package ${entry.package}); skipped without it: ${entry.skips}`,
    );
  }
}
