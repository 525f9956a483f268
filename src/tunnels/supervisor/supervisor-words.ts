/** Words that the reasons of a supervisor are made of: what went wrong, and what is being done about it. */

/** Why it acts without being due. */
export const WHY = {
  wake: 'the machine slept',
  network: 'the network changed',
  retry: 'a person asked for it',
} as const;
/** What is done while a host takes no connections. */
export const WHEN_REACHED = 'ssh starts as soon as the host takes connections';

/** What went wrong, and what is being done about it. */
export function says(failure: { readonly message: string }, doing: string): string {
  return `${failure.message.replace(/\.$/, '')}; ${doing}`;
}
