/**
 * What both ends of an encrypted stream insist on, and what a finished handshake has proven. One context a transport: making
 * one costs more than a handshake. Knows nothing of streams; `tls-socket.ts` and `tls-transport.ts` call it.
 */
import { constants, type X509Certificate } from 'node:crypto';
import tls from 'node:tls';
import type { Secured } from './transport.js';

/** What a TLS context takes, both PEM. The key is a secret. */
export interface TlsCredentials {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
}

/** Of RFC 8446, 7.5, with an empty context. Named after the program, so that no other protocol over TLS comes to the same bytes. */
export const EXPORTER_LABEL = 'EXPORTER-exo-mesh-1';
const BINDING_BYTES = 32;

/**
 * TLS 1.3 and nothing older: so there is neither compression nor renegotiation, and 0-RTT is off. AES with 128 bits first, as it
 * costs least where the processor knows AES; ChaCha20 where it does not. Throws when certificate and key do not fit together.
 */
export function tlsContext(credentials: TlsCredentials): tls.SecureContext {
  return tls.createSecureContext({
    cert: credentials.certificatePem,
    key: credentials.privateKeyPem,
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    ciphers: 'TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384',
    // The other end's certificate and its proof are held to this as well: another kind of key fails inside the handshake.
    sigalgs: 'ed25519',
    ecdhCurve: 'X25519',
    // Every connection proves the keys anew: a ticket would carry an old proof on.
    secureOptions: constants.SSL_OP_NO_TICKET,
  });
}

/**
 * The other end's key and the binding, once the handshake is done; a reason in words instead when the certificate is not what
 * we take. Names, dates and issuer are not looked at: the key is who the node is.
 */
export function securedBy(socket: tls.TLSSocket): Secured | string {
  const certificate: X509Certificate | undefined = socket.getPeerX509Certificate();
  if (certificate === undefined) return 'it shows no certificate';
  if (socket.getProtocol() !== 'TLSv1.3') return 'it does not speak TLS 1.3';
  if (socket.isSessionReused()) return 'it takes up an earlier session';
  const key = certificate.publicKey;
  if (key.asymmetricKeyType !== 'ed25519') return 'its certificate has no Ed25519 key';
  // As a JWK (RFC 8037), since that costs a tenth of writing it as DER.
  const { x } = key.export({ format: 'jwk' });
  if (x === undefined) return 'its certificate has no Ed25519 key';
  return {
    peerKey: Buffer.from(x, 'base64url'),
    binding: socket.exportKeyingMaterial(BINDING_BYTES, EXPORTER_LABEL, Buffer.alloc(0)),
  };
}
