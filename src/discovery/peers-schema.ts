/**
 * The published JSON Schema of peers.json. This object is the source; docs/schema/peers.schema.json is its
 * exact JSON (a test says so), and editors complete and check by it through `"$schema"`.
 */
import { LIMITS } from '../shared/index.js';

const TFLOPS = { type: 'number', minimum: 0 } as const;

/** An id or a name: printable, not empty. */
const NAMES = { minLength: 1, maxLength: LIMITS.nodeIdCharsMax, pattern: '^[^\\u0000-\\u001f\\u007f]+$' };

const FORWARD = {
  type: 'array',
  items: { type: 'string', minLength: 1 },
  maxItems: LIMITS.tunnelForwardsMax,
} as const;

/** peers.json, JSON Schema draft-07. Unknown keys are allowed everywhere and ignored. */
export const PEERS_SCHEMA = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  title: 'peers.json of exo-mesh',
  description: 'The nodes that this node dials, and the ssh tunnels that lead to them.',
  type: 'object',
  required: ['peers'],
  properties: {
    $schema: { description: 'Where this schema is, for editors.', type: 'string' },
    comment: { description: 'For people; any value.' },
    peers: {
      description: 'Peers by node id, or by any name (the id that the peer tells itself wins).',
      type: 'object',
      propertyNames: NAMES,
      additionalProperties: { $ref: '#/definitions/peer' },
    },
    tunnels: {
      description: 'Tunnels that serve several peers, by name.',
      type: 'object',
      propertyNames: NAMES,
      additionalProperties: { $ref: '#/definitions/tunnel' },
    },
  },
  definitions: {
    peer: {
      description: 'Where a peer is reached, and what it is until it tells itself.',
      type: 'object',
      required: ['address'],
      properties: {
        address: {
          description:
            'host:port, [ipv6]:port, or a host with "port" beside it. Behind an ssh tunnel: 127.0.0.1 and the local port.',
          type: 'string',
          minLength: 1,
          maxLength: 300,
        },
        port: {
          description: 'The port, where the address has none.',
          type: 'integer',
          minimum: 1,
          maximum: 65535,
        },
        priority: {
          description: 'Which address of a peer is preferred; higher is better, 4 is usual.',
          type: 'integer',
          minimum: 0,
          maximum: 100,
        },
        device_capabilities: { $ref: '#/definitions/deviceCapabilities' },
        tunnel: { $ref: '#/definitions/tunnel' },
      },
    },
    deviceCapabilities: {
      description: 'What the machine can do, until it tells itself.',
      type: 'object',
      properties: {
        model: { type: 'string', maxLength: 200 },
        chip: { type: 'string', maxLength: 200 },
        memory: { description: 'MB', type: 'number', minimum: 0 },
        flops: {
          description: 'Tera floating point operations per second.',
          type: 'object',
          properties: { fp32: TFLOPS, fp16: TFLOPS, int8: TFLOPS },
        },
      },
    },
    tunnel: {
      description: 'An ssh connection that is kept up, in the words of ssh.',
      type: 'object',
      required: ['ssh'],
      properties: {
        ssh: {
          description: 'user@host, user@host:port, ssh://user@host:port or a Host of the ssh configuration.',
          type: 'string',
          minLength: 1,
        },
        forward: { description: 'As ssh -L: 50052:localhost:50051.', ...FORWARD },
        reverse: { description: 'As ssh -R: 50060:localhost:50060.', ...FORWARD },
        identity: {
          description: 'As ssh -i: a private key file, or several.',
          type: ['string', 'array'],
          items: { type: 'string', minLength: 1 },
          minLength: 1,
        },
        knownHosts: {
          description: 'A known_hosts file in the place of the usual ones.',
          type: 'string',
          minLength: 1,
        },
        sshConfig: { description: 'As ssh -F: a configuration file.', type: 'string', minLength: 1 },
        jump: { description: 'As ssh -J: hosts to go through, with commas.', type: 'string', minLength: 1 },
        driver: {
          description: 'The system’s ssh, or ssh2 in this process.',
          enum: ['openssh', 'ssh2'],
        },
        options: {
          description:
            'As ssh -o: names and values. Only what runs nothing and reads no other file; the rest belongs into ~/.ssh/config.',
          type: 'object',
          additionalProperties: { type: ['string', 'number', 'boolean'] },
        },
        probe: {
          description: 'false for forwards that do not lead to an exo node: they are opened and not probed.',
          type: 'boolean',
        },
      },
    },
  },
} as const;
