/** From the chunks of a stream to a turn. */

import { field } from '../api/failure.ts';
import type { Call, Ending, Figures, Turn } from './model.ts';

/** How far the server has read the prompt. */
export interface Reading {
  readonly done: number;
  readonly total: number;
}

/** Collects what `chat.completion.chunk` objects say. */
export class Answer {
  private content: string;
  private reasoning: string;
  private readonly calls: Call[] = [];
  private figures: Figures = {};
  private finish: string | null = null;
  /** Pieces of text that came, about as many as tokens. */
  pieces = 0;
  reading: Reading | null = null;
  private began: number | null = null;

  /** @param turn What it goes on from; @param now A clock in milliseconds. */
  constructor(
    private readonly turn: Turn,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.content = turn.content;
    this.reasoning = turn.reasoning ?? '';
    this.asked = now();
  }

  private readonly asked: number;

  /** Whether a chunk said why it ended. */
  get finished(): boolean {
    return this.finish !== null;
  }

  /** Whether text has come. */
  get speaking(): boolean {
    return this.pieces > 0;
  }

  /** Whether what comes now are thoughts. */
  get thinking(): boolean {
    return this.speaking && this.content === this.turn.content && this.calls.length === 0 && this.reasoning !== '';
  }

  /** About how many tokens come a second. */
  get pace(): number | null {
    if (this.began === null || this.pieces < 3) return null;
    const seconds = (this.now() - this.began) / 1000;
    return seconds > 0.2 ? (this.pieces - 1) / seconds : null;
  }

  /** Take a chunk; what it has of the wrong kind is passed over. */
  take(chunk: unknown): void {
    this.takeFigures(field(chunk, 'usage'), field(chunk, 'timings'));
    const progress = field(chunk, 'prompt_progress');
    const [done, total] = [field(progress, 'processed'), field(progress, 'total')];
    if (isNumber(done) && isNumber(total)) this.reading = { done, total };
    const choices = field(chunk, 'choices');
    const choice: unknown = Array.isArray(choices) ? choices[0] : undefined;
    const delta = field(choice, 'delta');
    this.takeText(text(field(delta, 'content')), text(field(delta, 'reasoning_content')));
    const calls = field(delta, 'tool_calls');
    if (Array.isArray(calls)) for (const each of calls) this.takeCall(each);
    const finish = field(choice, 'finish_reason');
    if (typeof finish === 'string') this.finish = finish;
  }

  private takeText(content: string, reasoning: string): void {
    this.content += content;
    this.reasoning += reasoning;
    if (content !== '' || reasoning !== '') this.count();
  }

  private takeCall(piece: unknown): void {
    const index = field(piece, 'index');
    const at = isNumber(index) && index >= 0 && index < 1000 ? Math.floor(index) : 0;
    const of = field(piece, 'function');
    while (this.calls.length <= at) this.calls.push({ id: '', name: '', arguments: '' });
    const before = this.calls[at] as Call;
    this.calls[at] = {
      id: before.id || text(field(piece, 'id')) || `call_${at}`,
      name: before.name + text(field(of, 'name')),
      arguments: before.arguments + text(field(of, 'arguments')),
    };
    this.count();
  }

  private count(): void {
    this.pieces += 1;
    if (this.began !== null) return;
    this.began = this.now();
    this.figures = { ...this.figures, firstTokenSeconds: (this.began - this.asked) / 1000 };
  }

  private takeFigures(usage: unknown, timings: unknown): void {
    const found = {
      promptTokens: field(usage, 'prompt_tokens'),
      answerTokens: field(usage, 'completion_tokens'),
      cachedTokens: field(field(usage, 'prompt_tokens_details'), 'cached_tokens'),
      tokensPerSecond: field(timings, 'predicted_per_second'),
    };
    const known = Object.entries(found).filter((each) => isNumber(each[1]));
    this.figures = { ...this.figures, ...Object.fromEntries(known) };
  }

  /** The turn as it stands. */
  snapshot(): Turn {
    return {
      ...this.turn,
      content: this.content,
      ...(this.reasoning !== '' && { reasoning: this.reasoning }),
      ...(this.calls.length > 0 && { calls: [...this.calls] }),
    };
  }

  /** The turn as it ended. */
  ended(ending?: Ending): Turn {
    const pace = this.pace;
    const figures = { ...(pace !== null && { tokensPerSecond: pace }), ...this.figures };
    return { ...this.snapshot(), ending: ending ?? endingOf(this.finish), figures };
  }
}

function endingOf(finish: string | null): Ending {
  if (finish === 'length' || finish === 'tool_calls') return finish;
  return finish === 'cancelled' ? 'stopped' : 'stop';
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}
