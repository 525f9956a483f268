import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  broadcastAddress,
  INTERFACE_PRIORITY,
  interfaceType,
  localInterfaces,
  parseHardwarePorts,
  type ReadInterfaces,
} from '../../src/discovery/interfaces.js';
import { parseArp, parseProcNetArp } from '../../src/discovery/neighbours.js';
import { isSweepable, sweepHosts } from '../../src/discovery/sweep.js';
import { LOOPBACK } from './fixtures.js';

test('interface classes and priorities are the original’s', () => {
  const names: Record<string, readonly string[]> = {
    'Container Virtual': ['docker0', 'br-1a2b', 'veth12', 'cni0', 'flannel.1', 'cali0bridge', 'weave'],
    Loopback: ['lo', 'lo0'],
    Thunderbolt: ['tb0', 'nx1', 'ten2'],
    Ethernet: ['eth0', 'enp3s0', 'en5', 'en10'],
    WiFi: ['wlan0', 'wifi0', 'wlp2s0', 'en0', 'en1'],
    Other: ['ppp0', 'ib0'],
    'External Virtual': ['tun0', 'tap1', 'vtun0', 'utun3', 'gif0', 'stf0', 'awdl0', 'llw0'],
  };
  for (const [type, all] of Object.entries(names)) {
    for (const name of all) assert.equal(interfaceType(name), type, name);
  }
  assert.deepEqual(Object.values(INTERFACE_PRIORITY), [7, 6, 5, 4, 3, 2, 1]);
});

test('interface class follows the macOS hardware port where it is known', () => {
  const ports = parseHardwarePorts(
    '\nHardware Port: Wi-Fi\nDevice: en0\nEthernet Address: a0:b1\n\nHardware Port: Thunderbolt Bridge\nDevice: bridge0\n\nHardware Port: USB 10/100/1000 LAN\nDevice: en7\n',
  );
  assert.deepEqual([...ports.keys()], ['en0', 'bridge0', 'en7']);
  assert.equal(interfaceType('bridge0', ports.get('bridge0')), 'Thunderbolt');
  assert.equal(interfaceType('en7', ports.get('en7')), 'Ethernet');
  assert.equal(interfaceType('en0', 'Ethernet'), 'Ethernet', 'en0 of a desktop is wired');
  assert.equal(interfaceType('en0', 'Something new'), 'WiFi');
});

test('broadcast address follows the netmask and is absent where there is none', () => {
  assert.equal(broadcastAddress('192.168.1.7', 24), '192.168.1.255');
  assert.equal(broadcastAddress('10.77.3.9', 12), '10.79.255.255');
  assert.equal(broadcastAddress('127.0.0.1', 8), '127.255.255.255');
  assert.equal(broadcastAddress('10.0.0.1', 30), '10.0.0.3');
  assert.equal(broadcastAddress('10.0.0.1', 31), undefined);
  assert.equal(broadcastAddress('10.0.0.1', 32), undefined);
});

test('interfaces are listed by class, IPv4 only', () => {
  const base = { mac: '00:00:00:00:00:00', cidr: null };
  const read: ReadInterfaces = () => ({
    wlan0: [{ ...base, address: '192.168.1.7', netmask: '255.255.255.0', family: 'IPv4', internal: false }],
    lo: [
      { ...base, address: '127.0.0.1', netmask: '255.0.0.0', family: 'IPv4', internal: true },
      { ...base, address: '::1', netmask: 'ffff::', family: 'IPv6', internal: true, scopeid: 0 },
    ],
    wg0: [{ ...base, address: '10.8.0.1', netmask: '255.255.255.255', family: 'IPv4', internal: false }],
    odd0: [{ ...base, address: '10.9.0.1', netmask: '255.0.255.0', family: 'IPv4', internal: false }],
    none: undefined,
  });
  assert.deepEqual(localInterfaces(read), [
    LOOPBACK,
    {
      name: 'wlan0',
      address: '192.168.1.7',
      prefixBits: 24,
      broadcast: '192.168.1.255',
      type: 'WiFi',
      priority: 3,
    },
    { name: 'odd0', address: '10.9.0.1', prefixBits: 32, type: 'Other', priority: 2 },
    { name: 'wg0', address: '10.8.0.1', prefixBits: 32, type: 'Other', priority: 2 },
  ]);
});

test('sweep asks the /24 around the own address, nearest first, without the own and the broadcast address', () => {
  const hosts = sweepHosts([
    { name: 'eth0', address: '10.1.2.3', prefixBits: 8, type: 'Ethernet', priority: 4 },
  ]);
  assert.equal(hosts.length, 253);
  assert.deepEqual(hosts.slice(0, 4), ['10.1.2.2', '10.1.2.4', '10.1.2.1', '10.1.2.5']);
  assert.ok(hosts.every((host) => /^10\.1\.2\.\d+$/.test(host)));
  for (const host of ['10.1.2.0', '10.1.2.3', '10.1.2.255']) assert.ok(!hosts.includes(host), host);
});

test('sweep never asks a public, loopback or point-to-point network', () => {
  const at = (address: string, prefixBits = 24) =>
    ({ name: 'eth0', address, prefixBits, type: 'Ethernet', priority: 4 }) as const;
  assert.deepEqual(sweepHosts([at('8.8.8.8'), at('127.0.0.1', 8), at('192.0.2.9'), at('10.0.0.1', 32)]), []);
  assert.deepEqual(sweepHosts([at('172.16.0.5', 29)]), [
    '172.16.0.4',
    '172.16.0.6',
    '172.16.0.3',
    '172.16.0.2',
    '172.16.0.1',
  ]);
  assert.equal(isSweepable('169.254.3.4'), true);
  assert.equal(isSweepable('224.0.0.1'), false);
});

test('sweep takes networks in turn and leaves container and tunnel networks for last', () => {
  const hosts = sweepHosts([
    { name: 'docker0', address: '172.17.0.1', prefixBits: 16, type: 'Container Virtual', priority: 7 },
    { name: 'eth0', address: '10.0.0.1', prefixBits: 24, type: 'Ethernet', priority: 4 },
    { name: 'wlan0', address: '10.0.1.1', prefixBits: 24, type: 'WiFi', priority: 3 },
  ]);
  assert.deepEqual(hosts.slice(0, 4), ['10.0.0.2', '10.0.1.2', '10.0.0.3', '10.0.1.3']);
  assert.equal(
    hosts.findIndex((host) => host.startsWith('172.')),
    506,
  );
});

test('neighbour tables of Linux, macOS and Windows are read, incomplete entries left out', () => {
  const linux = `IP address       HW type     Flags       HW address            Mask     Device
192.168.1.1      0x1         0x2         02:fc:00:00:00:05     *        eth0
192.168.1.9      0x1         0x0         00:00:00:00:00:00     *        eth0
`;
  assert.deepEqual(parseProcNetArp(linux), ['192.168.1.1']);
  const mac = `? (192.168.1.1) at a0:b1:c2:d3:e4:f5 on en0 ifscope [ethernet]
? (192.168.1.7) at (incomplete) on en0 ifscope [ethernet]
? (192.168.1.255) at ff:ff:ff:ff:ff:ff on en0 ifscope [ethernet]
`;
  assert.deepEqual(parseArp(mac), ['192.168.1.1']);
  const windows = `
Interface: 192.168.1.5 --- 0x7
  Internet Address      Physical Address      Type
  192.168.1.1           a0-b1-c2-d3-e4-f5     dynamic
  192.168.1.255         ff-ff-ff-ff-ff-ff     static
`;
  assert.deepEqual(parseArp(windows), ['192.168.1.1']);
  assert.deepEqual(parseProcNetArp('nonsense'), []);
});
