/**
 * The ggml libraries, opened and bound through koffi: the one place where native functions come from. Runs in the
 * engine's process only. Called by `device.ts` and `mapped-file.ts`.
 */
import koffi, { type LibraryHandle } from 'koffi';
import { ExoError } from '../../../../shared/index.js';
import { BASE, type Kind, LOADER, type NativeFunctions, type Pointer } from './functions.js';
import { findLibraries, PACKAGE_VERSION } from './platform-package.js';

/** Of the pinned packages. Another version may lay its structures out in another way. */
const GGML_VERSION = '0.23.0';
/** koffi’s default of 128 KiB is less than a kernel’s scratch space; an ordinary thread has this much. */
const THREAD_STACK_BYTES = 8 * 1024 * 1024;

const C_TYPES: Readonly<Record<Kind, string>> = {
  void: 'void',
  pointer: 'void *',
  optional: 'void *',
  bytes: 'void *',
  text: 'const char *',
  bool: 'bool',
  int32: 'int32_t',
  int64: 'int64_t',
  size: 'size_t',
  float: 'float',
};

/** The opened libraries. */
export interface Ggml extends NativeFunctions {
  /** A context for `bytes` of descriptions of tensors; the data lies in buffers. */
  newContext(bytes: number): Pointer;
  /** Calls a function of a backend by its address, with pointers and numbers only. */
  callAddress(address: Pointer, result: Kind, kinds: readonly Kind[], args: readonly unknown[]): unknown;
  /** Reads a pointer out of memory; null at the end of a list. */
  pointerAt(address: Pointer): Pointer | null;
}

/** Opens the libraries and loads the backends that fit this machine. Throws `engine-failed`. */
export function openGgml(): Ggml {
  const files = findLibraries();
  try {
    koffi.config({ async_stack_size: THREAD_STACK_BYTES });
    const base = koffi.load(files.base);
    const loader = koffi.load(files.loader);
    const bind = (library: LibraryHandle, table: Readonly<Record<string, readonly Kind[]>>) =>
      Object.fromEntries(
        Object.entries(table).map(([name, [result, ...kinds]]) => [
          name,
          library.func(
            name,
            C_TYPES[result!],
            kinds.map((kind) => C_TYPES[kind]),
          ),
        ]),
      );
    const functions = { ...bind(base, BASE), ...bind(loader, LOADER) } as unknown as NativeFunctions;
    checkVersion(functions.ggml_version());
    const params = koffi.struct({ mem_size: 'size_t', mem_buffer: 'void *', no_alloc: 'bool' });
    const init = base.func('ggml_init', 'void *', [params]);
    functions.ggml_backend_load_all_from_path(files.directory);
    return {
      ...functions,
      newContext(bytes) {
        const context = init({ mem_size: bytes, mem_buffer: null, no_alloc: true }) as Pointer | null;
        if (context === null) throw new ExoError('out-of-memory', 'there is no memory for a graph');
        return context;
      },
      callAddress: (address, result, kinds, args) =>
        koffi.call(
          address,
          koffi.proto(
            C_TYPES[result],
            kinds.map((kind) => C_TYPES[kind]),
          ),
          ...args,
        ) as unknown,
      pointerAt: (address) => koffi.decode(address, 'void *') as Pointer | null,
    };
  } catch (error) {
    if (error instanceof ExoError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new ExoError('engine-failed', `the native libraries in ${files.directory} cannot be used: ${why}`, {
      cause: error,
    });
  }
}

function checkVersion(version: string): void {
  if (version === GGML_VERSION) return;
  throw new ExoError(
    'engine-failed',
    `the native libraries are ggml ${version}, and ${GGML_VERSION} is needed; run: npm install (the packages @node-llama-cpp/* must be ${PACKAGE_VERSION})`,
  );
}
