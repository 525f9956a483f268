/**
 * What the system calls this machine: the same after every start, another on every machine. Only to notice a copied folder; two
 * clones of one virtual machine may share it, and many containers have none.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** systemd's own file, and where D-Bus keeps it without systemd. */
const LINUX_FILES = ['/etc/machine-id', '/var/lib/dbus/machine-id'];
const IOREG_TIMEOUT_MS = 2_000;

/** Undefined where the system does not tell. */
export function machineId(): string | undefined {
  if (process.platform === 'linux') return linuxMachineId();
  if (process.platform === 'darwin') return platformUuid(askIoreg());
  return undefined;
}

/** The line `"IOPlatformUUID" = "…"` of macOS’s `ioreg`. */
export function platformUuid(text: string): string | undefined {
  return /"IOPlatformUUID" = "([0-9A-Fa-f-]{36})"/.exec(text)?.[1];
}

function linuxMachineId(): string | undefined {
  for (const file of LINUX_FILES) {
    try {
      const text = readFileSync(file, 'utf8').trim();
      // An image that is to get one at its first start holds `uninitialized`, or nothing.
      if (/^[0-9a-f]{32}$/.test(text)) return text;
    } catch {
      // The next place.
    }
  }
  return undefined;
}

function askIoreg(): string {
  try {
    const args = ['-rd1', '-c', 'IOPlatformExpertDevice'];
    return execFileSync('/usr/sbin/ioreg', args, { encoding: 'utf8', timeout: IOREG_TIMEOUT_MS });
  } catch {
    return '';
  }
}
