/**
 * What the table of errors says besides the code and its line: whether trying again may help, and what to do. Keys are
 * the codes of src/shared/errors.ts; `docs.mjs` fails where one is missing or too much.
 *
 * First word: `yes` the same call may succeed later, `no` it will not without a change, `told` the error itself says.
 */
export const ADVICE = {
  'frame-bad-magic': ['no', 'something else than an exo node is at that address; check host and port'],
  'frame-unknown-type': ['no', 'the other program is newer or not exo; update the older of the two'],
  'frame-too-large': [
    'no',
    'send less at once; from old peers over the network large bodies need a configured address',
  ],
  'frame-malformed': ['no', 'a fault of the other program; update it, or report it with the message'],
  'frame-too-slow': ['no', 'the path is slower than 0.13 Mbit/s or stands still; look at the network'],
  'handshake-timeout': [
    'no',
    'nothing, for a port check or a stranger; else look why the other side says nothing',
  ],
  'protocol-violation': [
    'no',
    'a fault of the other program, or a request id that is used twice; update it, or take new ids',
  ],
  'version-mismatch': ['no', 'update the older of the two nodes'],
  'connect-failed': [
    'yes',
    'the message says why: start the far node or its tunnel, check address, port and firewall',
  ],
  'connection-closed': ['told', 'ask again; exo peers shows whether the peer is back'],
  'request-timeout': ['yes', 'ask again; exo ping shows whether the peer answers at all'],
  'request-cancelled': ['no', 'nothing: whoever asked gave up'],
  'request-unsupported': ['no', 'the other side is an old peer or an older version; update it'],
  'request-failed': ['told', 'the message is from the other machine; its log says more'],
  overloaded: ['yes', 'try again in a moment, or ask for less at once'],
  'not-on-this-connection': ['no', 'list the old peer in peers.json, so that this node dials it'],
  'self-address': ['no', 'correct the address; on one machine give the nodes different --node-port'],
  'duplicate-id': ['no', 'start one of the two machines with another --node-id'],
  'id-filtered': ['no', 'add the id to --node-id-filter if it should be let in'],
  'interface-filtered': ['no', 'add the type to --interface-type-filter if it should be used'],
  'address-spare': ['no', 'nothing: the other address works; this one is dialled when that is lost'],
  'peer-unknown': ['no', 'exo peers lists the names'],
  'peer-unreachable': ['yes', 'exo peers --all says why there is no connection'],
  'peer-lost': ['yes', 'ask again; the ring is made anew from the nodes that are there'],
  'candidate-invalid': [
    'no',
    'correct the address in the file or option; a datagram of another program can be ignored',
  ],
  'option-invalid': ['no', 'the message names the option and what it takes; exo node --help lists all'],
  'option-conflict': ['no', 'leave one of the two options away'],
  'option-missing': ['no', 'add the companion that the message names'],
  'option-unsupported': ['no', 'leave the option away; exo node --help lists what this version has'],
  'port-in-use': ['told', 'end the program that has the port, or choose another one'],
  'peers-file-unreadable': [
    'told',
    'correct path or permissions of --discovery-config-path; the previous peers stay',
  ],
  'peers-file-invalid': ['no', 'mend the line that the message names; peers.example.json shows every field'],
  'state-unwritable': ['no', 'make $EXO_HOME writable for this user, or name another one'],
  'ring-incomplete': ['told', 'ask again when exo topology shows all nodes and the edges between them'],
  'model-unknown': ['no', 'use a model that the message or GET /v1/models lists'],
  'engine-failed': ['no', 'the log of the node that computes says more'],
  'tensor-invalid': ['no', 'a fault of the sender; both nodes should run the same version'],
  'prompt-too-long': ['no', 'shorten the prompt'],
  'generation-timeout': ['yes', 'ask for fewer tokens, or raise --chatgpt-api-response-timeout'],
  'api-unreachable': ['yes', 'start a node with exo, or name one with --api host:port'],
  'api-refused': ['told', 'the message is what the node said'],
  'node-ambiguous': ['no', 'write more of the id, or name the node with --api'],
  'http-invalid': ['no', 'correct the field that the message names'],
  'http-too-large': ['no', 'send a smaller body'],
  'http-forbidden': [
    'no',
    'call the API by the address that it listens on, from its own page or from no page',
  ],
  'http-unauthorized': ['no', 'set EXO_API_TOKEN to the token in the run file of the node ($EXO_HOME/run)'],
  'http-not-found': ['no', 'check path and method'],
  'http-unsupported': ['no', 'nothing yet: this version does not have it'],
  internal: ['no', 'a fault of exo: report it with the log of DEBUG=1'],
};
