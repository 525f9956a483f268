/** What a clock gives back for a call that it will make. Apart from `clock.ts`, whose parts need it too. */

/** Something that will happen later, and can be called off. */
export interface TimerHandle {
  cancel(): void;
}
