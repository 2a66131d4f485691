/** What a chat is made of: plain values, as they are stored and exported. */

import type { Failure } from '../api/failure.ts';

export type Role = 'user' | 'assistant' | 'tool';

/** Why an answer is as long as it is. */
export type Ending = 'stop' | 'length' | 'tool_calls' | 'stopped' | 'failed';

export interface Call {
  readonly id: string;
  readonly name: string;
  /** JSON, as far as it was written. */
  readonly arguments: string;
}

/** What the server counted and measured. */
export interface Figures {
  readonly promptTokens?: number;
  /** Of those, the ones that were still in memory. */
  readonly cachedTokens?: number;
  readonly answerTokens?: number;
  readonly tokensPerSecond?: number;
  readonly firstTokenSeconds?: number;
}

/** A message and where it stands: the one before it is its parent. */
export interface Turn {
  readonly id: string;
  readonly parent: string | null;
  readonly role: Role;
  readonly content: string;
  readonly created: number;
  readonly reasoning?: string;
  readonly calls?: readonly Call[];
  /** Of a tool's result: the call that it belongs to. */
  readonly callId?: string;
  /** Of an answer: who gave it. */
  readonly model?: string;
  readonly ending?: Ending;
  readonly failure?: Failure;
  readonly figures?: Figures;
}

/** How answers are drawn; what is absent, the model's makers or the server decide. */
export interface Sampling {
  readonly temperature?: number;
  readonly top_p?: number;
  readonly top_k?: number;
  readonly min_p?: number;
  readonly max_tokens?: number;
  readonly presence_penalty?: number;
  readonly frequency_penalty?: number;
  readonly seed?: number;
}

export type Thinking = 'auto' | 'on' | 'off';

/** What a chat asks with, and a new chat takes over from the last one. */
export interface Manner {
  readonly model: string | null;
  readonly system: string;
  readonly sampling: Sampling;
  readonly thinking: Thinking;
  /** A JSON list of OpenAI's tool definitions; empty: none. */
  readonly tools: string;
}

export interface Chat {
  readonly id: string;
  readonly title: string;
  readonly created: number;
  readonly updated: number;
  readonly manner: Manner;
  /** All of them, with the versions that are not shown. */
  readonly turns: readonly Turn[];
  /** The last turn of the version that is shown. */
  readonly leaf: string | null;
}

/** What each setting may be; the server has the last word. */
export interface SamplingField {
  readonly name: keyof Sampling;
  readonly label: string;
  readonly hint: string;
  readonly least: number;
  readonly most: number;
  readonly step: number;
}

export const SAMPLING: readonly SamplingField[] = [
  { name: 'temperature', label: 'Temperature', hint: 'Higher is more surprising, 0 always takes the likeliest', least: 0, most: 5, step: 0.05 },
  { name: 'top_p', label: 'Top P', hint: 'Draws from the likeliest tokens that make up this share', least: 0, most: 1, step: 0.01 },
  { name: 'top_k', label: 'Top K', hint: 'Draws from this many of the likeliest tokens', least: 0, most: 100000, step: 1 },
  { name: 'min_p', label: 'Min P', hint: 'Leaves out tokens less likely than this share of the likeliest', least: 0, most: 1, step: 0.01 },
  { name: 'max_tokens', label: 'Most tokens', hint: 'Length at which an answer is cut', least: 1, most: 10000000, step: 1 },
  { name: 'presence_penalty', label: 'Presence penalty', hint: 'Discourages what has occurred', least: -2, most: 2, step: 0.1 },
  { name: 'frequency_penalty', label: 'Frequency penalty', hint: 'Discourages what has occurred often', least: -2, most: 2, step: 0.1 },
  { name: 'seed', label: 'Seed', hint: 'The same number draws the same answer again', least: 0, most: 4294967295, step: 1 },
];

export const MANNER: Manner = { model: null, system: '', sampling: {}, thinking: 'auto', tools: '' };

let counted = 0;

/** A name that nothing else has. */
export function newId(): string {
  // crypto.randomUUID is there on https and localhost alone.
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  counted += 1;
  return `${counted.toString(36)}-${Array.from(bytes, (each) => each.toString(16).padStart(2, '0')).join('')}`;
}
