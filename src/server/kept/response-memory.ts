/** Responses that may be gone on with: the newest ones, in memory, within a bound. */
import { ApiError } from '../api-error.ts';
import type { Earlier, EarlierNeeds, Item } from '../request/responses.ts';

export interface KeptResponse {
  readonly id: string;
  /** What GET /v1/responses/{id} says. */
  readonly body: object;
  /** The conversation up to and with this response. */
  readonly conversation: readonly Item[];
}

export interface MemoryLimits {
  readonly responses: number;
  /** Characters of their JSON, of all together. */
  readonly characters: number;
}

interface Entry extends KeptResponse {
  readonly characters: number;
  readonly itemIds: readonly string[];
}

export class ResponseMemory {
  private readonly limits: MemoryLimits;
  /** Least recently used first. */
  private readonly kept = new Map<string, Entry>();
  /** Every item that has an id, with the response that keeps it. */
  private readonly items = new Map<string, { readonly item: Item; readonly keeper: string }>();
  private characters = 0;

  constructor(limits: MemoryLimits) {
    this.limits = limits;
  }

  keep({ id, body, conversation }: KeptResponse): void {
    const named = conversation.flatMap((item) => (item.id == null ? [] : [[item.id, item] as const]));
    const characters = JSON.stringify(conversation).length + JSON.stringify(body).length;
    this.kept.set(id, { id, body, conversation, characters, itemIds: named.map(([itemId]) => itemId) });
    this.characters += characters;
    for (const [itemId, item] of named) this.items.set(itemId, { item, keeper: id });
    for (const oldest of this.kept.keys()) {
      if (this.kept.size <= this.limits.responses && this.characters <= this.limits.characters) return;
      this.forget(oldest);
    }
  }

  get held(): { readonly count: number; readonly characters: number } {
    return { count: this.kept.size, characters: this.characters };
  }

  /** False where there was none. */
  forget(id: string): boolean {
    const entry = this.kept.get(id);
    if (!entry) return false;
    this.kept.delete(id);
    this.characters -= entry.characters;
    for (const itemId of entry.itemIds) if (this.items.get(itemId)?.keeper === id) this.items.delete(itemId);
    return true;
  }

  /** Throws ApiError 404. */
  get(id: string, param: string | undefined = undefined): KeptResponse {
    const entry = this.kept.get(id);
    if (!entry) throw notKept(`response ${JSON.stringify(id)}`, param);
    this.kept.delete(id);
    this.kept.set(id, entry);
    return entry;
  }

  /** Throws ApiError 404. */
  earlier({ previous, items }: EarlierNeeds): Earlier {
    const conversation = previous === null ? [] : this.get(previous, 'previous_response_id').conversation;
    const found = items.map((id) => {
      const entry = this.items.get(id);
      if (!entry) throw notKept(`item ${JSON.stringify(id)}`, 'input');
      return [id, entry.item] as const;
    });
    return { conversation, items: Object.fromEntries(found) };
  }
}

function notKept(what: string, param: string | undefined): ApiError {
  const message = `${what} is not kept here: it never was, or newer ones have taken its place, or the server was started again. Send the whole conversation as input.`;
  return new ApiError(404, 'not_found', `${param === undefined ? '' : `${param}: `}${message}`, {
    ...(param !== undefined && { param }),
  });
}
