/**
 * The certificate that a node shows in TLS: self-signed, its key is the node key. It says who the key is and nothing more: no
 * authority stands behind it, nobody checks its dates, and the id in the hello is bound to it by the proofs. It depends on the key
 * alone (Ed25519 signs without chance), so that a restart changes nothing.
 *
 * The only place that knows @peculiar/asn1-*: Node reads X.509 and cannot make it. Loaded with the first certificate.
 */
import { createHash, createPublicKey, sign } from 'node:crypto';
import type { NodeKey } from './ed25519.js';

/** What a TLS context takes (`cert`, `key`), both PEM. The key is a secret. */
export interface Credentials {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
}

/** OID of Ed25519, for the key and for the signature (RFC 8410, 3). */
const ED25519 = '1.3.101.112';
const COMMON_NAME = '2.5.4.3';
const SERIAL_BYTES = 16;
/** Before any clock that is not reset, so that a wrong one disturbs nothing. */
const NOT_BEFORE = '2020-01-01T00:00:00Z';
/** How RFC 5280, 4.1.2.5 writes that there is no end. */
const NOT_AFTER = '9999-12-31T23:59:59Z';
const PEM_LINE_CHARS = 64;

/** Makes the certificate of a node key. */
export async function createCredentials(nodeKey: Pick<NodeKey, 'privateKey'>): Promise<Credentials> {
  const [x509, { AsnConvert, OctetString }] = await Promise.all([
    import('@peculiar/asn1-x509'),
    import('@peculiar/asn1-schema'),
  ]);
  const { privateKey } = nodeKey;
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  const algorithm = new x509.AlgorithmIdentifier({ algorithm: ED25519 });
  const name = new x509.Name([
    new x509.RelativeDistinguishedName([
      new x509.AttributeTypeAndValue({
        type: COMMON_NAME,
        value: new x509.AttributeValue({ utf8String: 'exo node' }),
      }),
    ]),
  ]);
  const usage = new x509.KeyUsage(x509.KeyUsageFlags.digitalSignature);
  const body = new x509.TBSCertificate({
    version: x509.Version.v3,
    serialNumber: serialOf(spki),
    signature: algorithm,
    issuer: name,
    subject: name,
    validity: new x509.Validity({ notBefore: new Date(NOT_BEFORE), notAfter: new Date(NOT_AFTER) }),
    subjectPublicKeyInfo: AsnConvert.parse(spki, x509.SubjectPublicKeyInfo),
    extensions: new x509.Extensions([
      new x509.Extension({
        extnID: x509.id_ce_keyUsage,
        critical: true,
        extnValue: new OctetString(AsnConvert.serialize(usage)),
      }),
    ]),
  });
  const signature = sign(null, Buffer.from(AsnConvert.serialize(body)), privateKey);
  const certificate = new x509.Certificate({
    tbsCertificate: body,
    signatureAlgorithm: algorithm,
    signatureValue: toArrayBuffer(signature),
  });
  return {
    certificatePem: toPem('CERTIFICATE', Buffer.from(AsnConvert.serialize(certificate))),
    privateKeyPem: privateKey.export({ format: 'pem', type: 'pkcs8' }) as string,
  };
}

/** Two keys never have one serial number; the first bit is off, as a serial number is positive. */
function serialOf(spki: Buffer): ArrayBuffer {
  const serial = createHash('sha256').update(spki).digest().subarray(0, SERIAL_BYTES);
  serial[0] = (serial[0]! & 0x7f) | 0x40;
  return toArrayBuffer(serial);
}

function toArrayBuffer(bytes: Buffer): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}

function toPem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(new RegExp(`.{1,${PEM_LINE_CHARS}}`, 'g')) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
