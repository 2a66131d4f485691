/** An answer that is under way. */

import type { Client } from '../api/client.ts';
import type { Failure } from '../api/failure.ts';
import { FailureError, failure } from '../api/failure.ts';
import { Answer } from './answer.ts';
import type { Turn } from './model.ts';

/** How often a chat is kept while it grows, in milliseconds. */
const KEEP_EVERY = 1000;

export interface Listener {
  /** The turn has grown; `whole` says that it is over or ought to be kept. */
  grown(turn: Turn, whole: boolean): void;
}

/** Asks for one answer and collects it; `stop` ends it and keeps what has come. */
export class Run {
  readonly answer: Answer;
  private readonly abort = new AbortController();
  private keptAt = performance.now();
  readonly begun = performance.now();

  constructor(
    readonly chatId: string,
    readonly turn: Turn,
    private readonly listener: Listener,
  ) {
    this.answer = new Answer(turn);
  }

  /** End it. */
  stop(): void {
    this.abort.abort();
  }

  /** Run to the end, whatever that is.
   *
   * @returns What went wrong, if something did.
   */
  async go(client: Client, body: unknown): Promise<Failure | null> {
    try {
      for await (const chunk of client.answer(body, this.abort.signal)) {
        this.answer.take(chunk);
        const keep = performance.now() - this.keptAt > KEEP_EVERY;
        if (keep) this.keptAt = performance.now();
        this.listener.grown(this.answer.snapshot(), keep);
      }
      if (!this.answer.finished) throw new FailureError(failure('cut', 'The answer ended without saying why.'));
      this.listener.grown(this.answer.ended(), true);
      return null;
    } catch (error) {
      if (this.abort.signal.aborted) {
        this.listener.grown(this.answer.ended('stopped'), true);
        return null;
      }
      const told = error instanceof FailureError ? error.failure : failure('server', `The page failed: ${String(error)}`);
      this.listener.grown({ ...this.answer.ended('failed'), failure: told }, true);
      return told;
    }
  }
}
