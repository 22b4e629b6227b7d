/**
 * Ghost attention: dialogues that hold an instruction to the end, made from dialogues that were sampled with it in every turn.
 *
 * Source  Touvron et al. 2023 (Llama 2), arXiv:2307.09288 §3.3.
 */

export interface Exchange {
  readonly user: string;
  readonly assistant: string;
}
export interface GattMessage {
  readonly role: 'user' | 'assistant';
  readonly content: string;
}

/** What the newest model is given to answer: the instruction before every user message. (The paper says joined; the space is ours.) */
export function sampledWithInstruction(instruction: string, dialogue: readonly Exchange[]): GattMessage[] {
  return dialogue.flatMap(({ user, assistant }) => [
    { role: 'user', content: `${instruction} ${user}` } as const,
    { role: 'assistant', content: assistant } as const,
  ]);
}

/**
 * What is trained on: the same answers, with the instruction in the first user message only. Earlier answers were sampled
 * under an instruction that their turns no longer show, so only the last one carries loss.
 */
export function trainedWithInstruction(
  instruction: string,
  dialogue: readonly Exchange[],
): (GattMessage & { loss: boolean })[] {
  return dialogue.flatMap(({ user, assistant }, turn) => [
    { role: 'user', content: turn === 0 ? `${instruction} ${user}` : user, loss: false } as const,
    { role: 'assistant', content: assistant, loss: turn === dialogue.length - 1 } as const,
  ]);
}
