/**
 * What to do about each reason of docs/TUNNELS.md. Keys are the codes of src/tunnels/failure.ts and the two that only a
 * health check can tell; `docs.mjs` fails where one is missing or too much.
 */
export const TUNNEL_ADVICE = {
  'ssh-missing': 'install an ssh client, or take `"driver": "ssh2"`',
  'spec-refused': 'the message names the field and what to write',
  'port-clash': 'the message names both; take another port for one of them',
  'resolve-failed': 'check the name (`ssh -G host` shows what ssh makes of it) and the DNS of this machine',
  'connect-refused': 'start sshd there, or correct the port; it is noticed by itself when it is back',
  'connect-timeout': 'is the machine awake, the address right, a firewall between?',
  'network-unreachable': 'nothing, when a network comes back; else look at the routes of this machine',
  'server-silent': 'is it sshd that listens there, and has it slots left (MaxStartups)?',
  'not-ssh': 'the port belongs to something else: correct it',
  'no-common-algorithm':
    'update the older side, or allow an algorithm with `options` (`Ciphers`, `KexAlgorithms`, …)',
  'host-key-unknown': 'compare the fingerprint, then `ssh` there once by hand, or `exo connect` it',
  'host-key-changed': 'find out why; only then the command of the message removes the old key',
  'host-key-revoked': 'do not connect; ask whoever runs the host for its new key',
  'host-key-unreadable': 'the message names file and line; `ssh2` cannot use lines of a CA, `openssh` can',
  'auth-failed': 'put the public key into `authorized_keys` there, or name the right one as `identity`',
  'identity-unreadable': '`ssh-add` it to an agent, or mend the path or mode of the file',
  'forward-refused': 'allow it in sshd_config there (`AllowTcpForwarding`, `PermitListen`, `PermitOpen`)',
  'local-port-busy': '`lsof -i :port` here; end it, or take another port in front of `-L`',
  'local-port-ephemeral':
    'nothing: Linux keeps it for a minute after the connection; by default it hands out no port below 32768 (`net.ipv4.ip_local_port_range`)',
  'local-address-missing': 'nothing where the network comes later; else another address in front of `-L`',
  'remote-port-busy':
    'nothing for a listener that an old session of ours left: it is ended; else `lsof -i :port` there',
  'connection-lost': 'nothing: it is opened again at once',
  'keepalive-timeout': 'nothing: it is opened again when the path is back',
  'probe-timeout': 'nothing: it is opened again; if it comes often, look at the network',
  'server-closed': 'if it comes often: the log of sshd, its limits and idle timeouts',
  killed: 'nothing: it is opened again; who kills it?',
  'driver-fault': 'report it, with `exo tunnel logs`',
  'remote-node-down': 'start `exo` there, or correct the port after `localhost:`',
  'port-mismatch': 'something else answers there: correct the port',
};

/** The two that a health check through a tunnel that stands can tell. */
export const PROBE_REASONS = {
  'remote-node-down': 'ssh works, and no node answers behind it',
  'port-mismatch': 'ssh works, and what answers behind it is no exo node',
};
