/** What `exo verify` asks: always the same, so that two runs can be compared. Short and long, words, numbers, code, other scripts. */
export const VERIFY_PROMPTS: readonly string[] = [
  'Who are you?',
  'Count from one to twenty in words.',
  'Write a function in Python that says whether a number is prime.',
  'Übersetze ins Deutsche: the ship left the harbour before sunrise. 翻译成中文。',
  `Say in one sentence what this text is about. ${'A node knows its neighbours, asks them how they are, and forgets those that stay silent. '.repeat(6)}`,
];
