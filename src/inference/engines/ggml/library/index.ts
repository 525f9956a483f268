/**
 * The native side: what runs where, opened and checked. Only the engine's own process imports this; a fault in here
 * ends the process that calls it.
 */
export { type Device, type DeviceOptions, openDevice, REPACK_ROWS } from './device.js';
export { type FileLock, fileLock } from './file-lock.js';
export { type ElementType, type Pointer, PRECISION_F32, ROPE_NEOX, TYPE } from './functions.js';
export { askForHugePages } from './huge-pages.js';
export { type MappedFile, mapFile, mapShared } from './mapped-file.js';
export { type Ggml, openGgml } from './open-library.js';
