/** The server's endpoints that the page asks. */

import { eventsOf } from './events.ts';
import { FailureError, failure, failureIn, failureOf, field } from './failure.ts';

export type LoadState = 'loaded' | 'loading' | 'unloaded' | 'sleeping' | 'failed' | 'unknown';

export interface Model {
  readonly id: string;
  readonly state: LoadState;
  /** Of a load under way, from 0 to 1. */
  readonly progress: number | null;
  /** Tokens that a chat may have. */
  readonly context: number | null;
  /** Why the last load failed. */
  readonly error: string | null;
}

const STATES: readonly string[] = ['loaded', 'loading', 'unloaded', 'sleeping', 'failed'];

/** Asks one server. */
export class Client {
  key: string | null = null;

  /** The models, in the server's order. */
  async models(signal?: AbortSignal): Promise<Model[]> {
    const response = await this.fetch('v1/models', signal === undefined ? {} : { signal });
    const data = field(await response.json().catch(() => null), 'data');
    if (!Array.isArray(data)) throw new FailureError(failure('server', 'The list of models cannot be read.'));
    return data.map(modelOf).filter((model) => model !== null);
  }

  /** Have a model loaded into memory, or taken out of it. */
  async change(what: 'load' | 'unload', model: string): Promise<void> {
    await this.fetch(`models/${what}`, posting({ model }));
  }

  /** The chunks of an answer.
   *
   * @throws FailureError for a refusal, an error on the way, and a stream that was cut.
   */
  async *answer(body: unknown, signal: AbortSignal): AsyncGenerator<unknown> {
    const response = await this.fetch('v1/chat/completions', { ...posting(body), signal });
    if (response.body === null) throw new FailureError(failure('server', 'The answer has no body.'));
    try {
      for await (const event of eventsOf(response.body)) {
        if (event.data === '[DONE]') return;
        const chunk = parsed(event.data);
        if (event.name === 'error' || field(chunk, 'error') !== undefined) {
          throw new FailureError(failureIn(chunk, Number(field(field(chunk, 'error'), 'status')) || 500));
        }
        yield chunk;
      }
    } catch (error) {
      if (error instanceof FailureError || signal.aborted) throw error;
      throw new FailureError(failure('cut', 'The connection broke before the answer was whole.'));
    }
    throw new FailureError(failure('cut', 'The connection ended before the answer was whole.'));
  }

  private async fetch(path: string, options: RequestInit): Promise<Response> {
    const headers = new Headers(options.headers);
    if (this.key !== null) headers.set('authorization', `Bearer ${this.key}`);
    let response: Response;
    try {
      response = await fetch(new URL(path, document.baseURI), { ...options, headers, credentials: 'same-origin' });
    } catch (error) {
      if (options.signal?.aborted) throw error;
      throw new FailureError(failure('unreachable', `No answer from ${location.host}.`));
    }
    if (response.status === 401) {
      throw new FailureError(failure('key', this.key === null ? 'This server needs a key.' : 'The server does not accept this key.'));
    }
    if (!response.ok) throw new FailureError(await failureOf(response));
    return response;
  }
}

function posting(body: unknown): RequestInit {
  return { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
}

function parsed(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    throw new FailureError(failure('server', 'A piece of the answer cannot be read.'));
  }
}

/** What is known of a model, in the words of this server and of others of its kind. */
export function modelOf(entry: unknown): Model | null {
  const id = field(entry, 'id');
  if (typeof id !== 'string') return null;
  const status = field(entry, 'status');
  const state = [status, field(status, 'value'), field(entry, 'state')].find((each) => typeof each === 'string');
  const error = field(entry, 'error') ?? field(status, 'error') ?? field(status, 'message');
  const told = typeof error === 'string' ? error : field(error, 'message');
  return {
    id,
    state: (STATES.includes(String(state)) ? state : 'unknown') as LoadState,
    progress: firstNumber(field(status, 'progress'), field(entry, 'progress')),
    context: firstNumber(field(field(entry, 'meta'), 'n_ctx'), field(entry, 'n_ctx'), field(entry, 'max_model_len'), field(entry, 'context_length')),
    error: typeof told === 'string' ? told : null,
  };
}

function firstNumber(...values: unknown[]): number | null {
  const found = values.find((each) => typeof each === 'number' && Number.isFinite(each));
  return typeof found === 'number' ? found : null;
}
