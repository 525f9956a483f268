/**
 * Which addresses a tcp sweep asks: the own private networks, nearest first, never wider than a /24 around the
 * own address and never a public range. Pure; tcp-announcer.ts paces it.
 */
import ipaddr from 'ipaddr.js';
import { addressScope } from '../shared/index.js';
import type { LocalInterface } from './interfaces.js';

const SWEEP_PREFIX_BITS_MIN = 24;

/** Networks inside this machine and tunnels come last: their members are seldom other machines. */
const LAST: ReadonlySet<string> = new Set(['Container Virtual', 'External Virtual']);

/** Hosts to ask, in order: one of each network in turn, so that a large one does not delay the others. */
export function sweepHosts(interfaces: readonly LocalInterface[]): string[] {
  const own = new Set(interfaces.map((where) => where.address));
  const usable = interfaces.filter((where) => isSweepable(where.address));
  const first = usable.filter((where) => !LAST.has(where.type)).map((where) => networkHosts(where));
  const last = usable.filter((where) => LAST.has(where.type)).map((where) => networkHosts(where));
  const hosts = new Set([...interleave(first), ...interleave(last)]);
  for (const address of own) hosts.delete(address);
  return [...hosts];
}

/** Whether strangers may be asked at this address: private or link-local, nothing else. */
export function isSweepable(address: string): boolean {
  const scope = addressScope(address);
  return scope === 'private' || scope === 'link-local';
}

/** Own ± 1, ± 2, …: what a router hands out lies close together. */
function networkHosts(where: LocalInterface): string[] {
  const prefixBits = Math.max(SWEEP_PREFIX_BITS_MIN, where.prefixBits);
  if (prefixBits > 30) return [];
  const own = toNumber(where.address);
  const size = 2 ** (32 - prefixBits);
  const base = own - (own % size);
  const hosts: string[] = [];
  for (let distance = 1; distance < size; distance += 1) {
    for (const address of [own - distance, own + distance]) {
      if (address > base && address < base + size - 1) hosts.push(toText(address));
    }
  }
  return hosts;
}

function interleave(lists: readonly string[][]): string[] {
  const longest = Math.max(0, ...lists.map((list) => list.length));
  const merged: string[] = [];
  for (let index = 0; index < longest; index += 1) {
    for (const list of lists) {
      const host = list[index];
      if (host !== undefined) merged.push(host);
    }
  }
  return merged;
}

function toNumber(address: string): number {
  return ipaddr.IPv4.parse(address).octets.reduce((sum, octet) => sum * 256 + octet, 0);
}

function toText(address: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.');
}
