/** Every parser that reads what others wrote. A new one gets a target here. Loaded one by one: a thread needs only its own. */
import type { FuzzTarget } from '../target.js';

/** A target by its name. */
export const TARGETS: Readonly<Record<string, () => Promise<FuzzTarget>>> = {
  frame: async () => (await import('./frame.js')).frame,
  session: async () => (await import('./session.js')).session,
  message: async () => (await import('./message.js')).message,
  hello: async () => (await import('./hello.js')).hello,
  tensor: async () => (await import('./tensor.js')).tensor,
  'wire-json': async () => (await import('./wire-json.js')).wireJson,
  datagram: async () => (await import('./discovery.js')).datagram,
  announce: async () => (await import('./discovery.js')).announce,
  'peers-file': async () => (await import('./peers-file.js')).peersFile,
  'tunnel-spec': async () => (await import('./tunnel-spec.js')).tunnelSpec,
  'ssh-words': async () => (await import('./tunnel-spec.js')).sshWords,
  'known-hosts': async () => (await import('./ssh-files.js')).knownHosts,
  'ssh-config': async () => (await import('./ssh-files.js')).sshConfig,
  'ssh-key': async () => (await import('./ssh-files.js')).sshKey,
  mux: async () => (await import('./lines.js')).mux,
  'far-lines': async () => (await import('./lines.js')).farLines,
  said: async () => (await import('./said.js')).said,
  'run-file': async () => (await import('./lines.js')).runFile,
  'mesh-keys': async () => (await import('./trust-files.js')).meshKeys,
  'trust-file': async () => (await import('./trust-files.js')).trustFile,
  invitation: async () => (await import('./trust-files.js')).invitation,
  'authorized-keys': async () => (await import('./trust-files.js')).authorizedKeys,
  'tls-hello': async () => (await import('./trust-wire.js')).tlsHello,
  proofs: async () => (await import('./trust-wire.js')).proofs,
  'key-update': async () => (await import('./trust-wire.js')).keyUpdate,
  'ssh-signature': async () => (await import('./trust-wire.js')).sshSignature,
  http: async () => (await import('./http.js')).http,
};
