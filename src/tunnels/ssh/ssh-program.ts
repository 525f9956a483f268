/** The ssh that is used, by the drivers and by the configuration that they write. */

/** Found in PATH. */
export const SSH_PROGRAM = 'ssh';
