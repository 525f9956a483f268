/**
 * What this machine can do, in the original's terms. The first answer comes from the runtime alone and costs
 * nothing, so that a node can listen at once; the refined one asks the system (model, graphics) in the
 * background. The only user of systeminformation. Called once, by the node at its start.
 */
import { cpus, platform, totalmem } from 'node:os';
import { type DeviceCapabilities, UNKNOWN_CAPABILITIES } from '../protocol/index.js';
import { type Clock, waitAtMost } from '../shared/index.js';
import { chipFlops } from './chips.js';

/** How to probe. */
export interface ProbeOptions {
  readonly clock: Clock;
  /** When the refined answer comes at the latest, with what is known by then. @default 3000 */
  readonly timeoutMs?: number;
  /** Ends the wait early; the refined answer is then the instant one. */
  readonly signal?: AbortSignal;
  /** Where the machine is asked. @default the machine itself, through systeminformation */
  readonly system?: SystemReader;
}

/** Two answers of rising quality. */
export interface CapabilityProbe {
  readonly instant: DeviceCapabilities;
  /** Never rejects; not later than `timeoutMs`. */
  readonly refined: Promise<DeviceCapabilities>;
}

/** What the probe asks a machine. */
export interface SystemReader {
  readonly platform: string;
  /** Bytes of memory that this process may use. */
  memoryBytes(): number;
  /** Brand of the processor, empty if unknown. */
  cpuBrand(): string;
  /** The machine's product name (`MacBook Pro`). */
  productName(): Promise<string>;
  /** Vendor and model of each graphics controller. */
  graphics(): Promise<ReadonlyArray<{ readonly vendor: string; readonly model: string }>>;
}

/** Long enough for lspci and nvidia-smi on a busy machine, short enough that nobody waits for it. */
const TIMEOUT_MS = 3_000;
const BYTES_PER_MB = 1024 * 1024;

/** Probes this machine. Never throws. */
export function probeCapabilities(options: ProbeOptions): CapabilityProbe {
  const system = options.system ?? thisMachine;
  const instant = describe(system, undefined, undefined);
  return { instant, refined: refine(system, instant, options) };
}

async function refine(
  system: SystemReader,
  instant: DeviceCapabilities,
  options: ProbeOptions,
): Promise<DeviceCapabilities> {
  let product: string | undefined;
  let gpu: string | undefined;
  const questions = Promise.allSettled([
    // Only a Mac's product name is part of its description; elsewhere the graphics card is.
    system.platform === 'darwin' ? system.productName().then((name) => (product = name)) : undefined,
    system.platform === 'darwin'
      ? undefined
      : system.graphics().then((controllers) => (gpu = computeGpu(controllers))),
  ]);
  try {
    await waitAtMost(options.clock, options.timeoutMs ?? TIMEOUT_MS, questions, options.signal);
    return describe(system, product, gpu);
  } catch {
    return instant;
  }
}

function describe(
  system: SystemReader,
  product: string | undefined,
  gpu: string | undefined,
): DeviceCapabilities {
  const cpu = tidy(system.cpuBrand());
  const chip = gpu ?? (cpu === '' ? UNKNOWN_CAPABILITIES.chip : cpu);
  const model =
    system.platform === 'darwin'
      ? (nonEmpty(product) ?? 'Mac')
      : `${system.platform === 'win32' ? 'Windows' : 'Linux'} Box (${chip})`;
  return {
    model,
    chip,
    memory: Math.floor(system.memoryBytes() / BYTES_PER_MB),
    flops: chipFlops(chip),
  };
}

/** The first card that computes: NVIDIA or AMD, or one whose speed is known. Virtual consoles and the like are not. */
function computeGpu(
  controllers: ReadonlyArray<{ readonly vendor: string; readonly model: string }>,
): string | undefined {
  const usable = controllers.filter(
    ({ vendor, model }) =>
      model.trim() !== '' &&
      (/nvidia|\bamd\b|advanced micro devices/i.test(`${vendor} ${model}`) || chipFlops(model).fp32 > 0),
  );
  const best = usable.find(({ model }) => chipFlops(model).fp32 > 0) ?? usable[0];
  if (best === undefined) return undefined;
  // lspci writes "AD102 [GeForce RTX 4090]": the name on the box is in the brackets.
  const inBrackets = /\[([^\]]+)\]/.exec(best.model)?.[1] ?? best.model;
  const named =
    /nvidia/i.test(best.vendor) && !/nvidia/i.test(inBrackets) ? `NVIDIA ${inBrackets}` : inBrackets;
  // The original announces the driver's name in capitals, without the memory size at its end.
  return tidy(named)
    .toUpperCase()
    .replace(/[ -]\d+ ?GB$/, '');
}

function tidy(text: string): string {
  return text
    .replace(/\((R|TM)\)/gi, '')
    .replace(/\s+/g, ' ')
    .trim();
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === undefined || text.trim() === '' ? undefined : text.trim();
}

/** The smaller of what the machine has and what its container may use; a limit of 0 or beyond the machine is none. */
export function usableBytes(totalBytes: number, constrainedBytes: number | undefined): number {
  return constrainedBytes !== undefined && constrainedBytes > 0 && constrainedBytes < totalBytes
    ? constrainedBytes
    : totalBytes;
}

const thisMachine: SystemReader = {
  platform: platform(),
  // `constrainedMemory` reads the limit of cgroup v1 and v2, at the cgroup of this process.
  memoryBytes: () => usableBytes(totalmem(), process.constrainedMemory()),
  cpuBrand: () => cpus()[0]?.model ?? '',
  // Loaded only here, and of the package's 20 files the one that answers: 60 ms that a start should not pay.
  productName: async () => (await (await import('systeminformation/lib/system.js')).default.system()).model,
  graphics: async () =>
    (await (await import('systeminformation/lib/graphics.js')).default.graphics()).controllers,
};
