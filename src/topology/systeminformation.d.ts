/** Parts of systeminformation that can be loaded alone; the package declares them for the whole only. CommonJS: all is in the default. */
declare module 'systeminformation/lib/graphics.js' {
  import type { graphics } from 'systeminformation';

  const part: { readonly graphics: typeof graphics };
  export default part;
}
declare module 'systeminformation/lib/system.js' {
  import type { system } from 'systeminformation';

  const part: { readonly system: typeof system };
  export default part;
}
