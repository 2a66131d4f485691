/** Chats as a file: what is written, and how what is read is checked. */

import { field } from '../api/failure.ts';
import type { Call, Chat, Ending, Figures, Manner, Role, Sampling, Turn } from '../chat/model.ts';
import { MANNER, SAMPLING, newId } from '../chat/model.ts';

const FORMAT = 'headrace-chats';
const VERSION = 1;
export const MOST_BYTES = 100_000_000;
const ROLES: readonly string[] = ['user', 'assistant', 'tool'];
const ENDINGS: readonly string[] = ['stop', 'length', 'tool_calls', 'stopped', 'failed'];
const FIGURES = ['promptTokens', 'cachedTokens', 'answerTokens', 'tokensPerSecond', 'firstTokenSeconds'];

/** A file that cannot be taken over; the message says where and what. */
export class TransferError extends Error {}

/** Chats as JSON that people can read. */
export function exported(chats: readonly Chat[], now = new Date()): string {
  return JSON.stringify({ format: FORMAT, version: VERSION, exported: now.toISOString(), chats }, null, 2);
}

/** The chats of a file, each rebuilt from the fields that are known.
 *
 * @throws TransferError for anything that is no export of this page.
 */
export function imported(text: string): Chat[] {
  if (text.length > MOST_BYTES) throw new TransferError('The file is larger than 100 MB.');
  let file: unknown;
  try {
    file = JSON.parse(text);
  } catch (error) {
    throw new TransferError(`The file is no JSON: ${(error as Error).message}. Choose one that this page exported.`);
  }
  if (field(file, 'format') !== FORMAT) {
    throw new TransferError(`The file is no export of chats: it has no "format": "${FORMAT}". Choose one that this page exported.`);
  }
  if (field(file, 'version') !== VERSION) {
    throw new TransferError(`The file is of version ${shown(field(file, 'version'))}, and this page reads version ${VERSION}. Open it with the server that wrote it.`);
  }
  return list(field(file, 'chats'), 'chats').map((chat, index) => readChat(chat, `chats[${index}]`));
}

/** One stored chat, checked in the same way; null if it is damaged. */
export function restored(value: unknown): Chat | null {
  try {
    return readChat(value, 'chat');
  } catch {
    return null;
  }
}

/** What of an import is new: a chat that is there already is left out, one that differs gets another name. */
export function merged(present: readonly Chat[], incoming: readonly Chat[]): Chat[] {
  const known = new Map(present.map((chat) => [chat.id, JSON.stringify(chat)]));
  const added: Chat[] = [];
  for (const chat of incoming) {
    const same = known.get(chat.id);
    if (same === JSON.stringify(chat)) continue;
    const own = same === undefined ? chat : { ...chat, id: newId() };
    known.set(own.id, JSON.stringify(own));
    added.push(own);
  }
  return added;
}

function readChat(value: unknown, at: string): Chat {
  const turns = list(field(value, 'turns'), `${at}.turns`).map((turn, index) => readTurn(turn, `${at}.turns[${index}]`));
  const seen = new Set<string>();
  for (const [index, turn] of turns.entries()) {
    const where = `${at}.turns[${index}]`;
    if (seen.has(turn.id)) wrong(`${where}.id`, turn.id, 'a name of its own');
    // A parent stands before its children, so there is no way round in a circle.
    if (turn.parent !== null && !seen.has(turn.parent)) wrong(`${where}.parent`, turn.parent, 'the id of an earlier turn, or null');
    seen.add(turn.id);
  }
  const leaf = field(value, 'leaf');
  if (leaf !== null && !(typeof leaf === 'string' && seen.has(leaf))) wrong(`${at}.leaf`, leaf, 'the id of a turn, or null');
  return {
    id: name(field(value, 'id'), `${at}.id`),
    title: string(field(value, 'title'), `${at}.title`),
    created: number(field(value, 'created'), `${at}.created`),
    updated: number(field(value, 'updated'), `${at}.updated`),
    manner: readManner(field(value, 'manner'), `${at}.manner`),
    turns,
    leaf,
  };
}

function readTurn(value: unknown, at: string): Turn {
  const [reasoning, calls, callId, model] = ['reasoning', 'calls', 'callId', 'model'].map((each) => field(value, each));
  const [ending, failure, figures] = ['ending', 'failure', 'figures'].map((each) => field(value, each));
  const parent = field(value, 'parent');
  return {
    id: name(field(value, 'id'), `${at}.id`),
    parent: parent === null ? null : name(parent, `${at}.parent`),
    role: oneOf(field(value, 'role'), ROLES, `${at}.role`) as Role,
    content: string(field(value, 'content'), `${at}.content`),
    created: number(field(value, 'created'), `${at}.created`),
    ...(reasoning !== undefined && { reasoning: string(reasoning, `${at}.reasoning`) }),
    ...(calls !== undefined && { calls: list(calls, `${at}.calls`).map((call, index) => readCall(call, `${at}.calls[${index}]`)) }),
    ...(callId !== undefined && { callId: string(callId, `${at}.callId`) }),
    ...(model !== undefined && { model: string(model, `${at}.model`) }),
    ...(ending !== undefined && { ending: oneOf(ending, ENDINGS, `${at}.ending`) as Ending }),
    ...(failure !== undefined && {
      failure: {
        kind: 'server' as const,
        message: string(field(failure, 'message'), `${at}.failure.message`),
        remedy: string(field(failure, 'remedy'), `${at}.failure.remedy`),
      },
    }),
    ...(figures !== undefined && { figures: readFigures(figures, `${at}.figures`) }),
  };
}

function readCall(value: unknown, at: string): Call {
  return {
    id: string(field(value, 'id'), `${at}.id`),
    name: string(field(value, 'name'), `${at}.name`),
    arguments: string(field(value, 'arguments'), `${at}.arguments`),
  };
}

function readFigures(value: unknown, at: string): Figures {
  const known = FIGURES.filter((each) => field(value, each) !== undefined);
  return Object.fromEntries(known.map((each) => [each, number(field(value, each), `${at}.${each}`)]));
}

function readManner(value: unknown, at: string): Manner {
  const model = field(value, 'model');
  return {
    model: model === null ? null : string(model, `${at}.model`),
    system: string(field(value, 'system'), `${at}.system`),
    sampling: readSampling(field(value, 'sampling'), `${at}.sampling`),
    thinking: oneOf(field(value, 'thinking'), ['auto', 'on', 'off'], `${at}.thinking`) as Manner['thinking'],
    tools: string(field(value, 'tools'), `${at}.tools`),
  };
}

function readSampling(value: unknown, at: string): Sampling {
  const known = SAMPLING.filter(({ name: each }) => field(value, each) !== undefined);
  return Object.fromEntries(
    known.map(({ name: each, least, most }) => {
      const found = number(field(value, each), `${at}.${each}`);
      if (found < least || found > most) wrong(`${at}.${each}`, found, `from ${least} to ${most}`);
      return [each, found];
    }),
  );
}

/** A stored manner, or the plain one if it is damaged. */
export function restoredManner(value: unknown): Manner {
  try {
    return readManner(value, 'manner');
  } catch {
    return MANNER;
  }
}

function wrong(at: string, value: unknown, expected: string): never {
  throw new TransferError(`${at} must be ${expected}, and is ${shown(value)}. Nothing was imported.`);
}

function shown(value: unknown): string {
  const text = value === undefined ? 'absent' : (JSON.stringify(value) ?? String(value));
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

function string(value: unknown, at: string): string {
  return typeof value === 'string' ? value : wrong(at, value, 'text');
}

function name(value: unknown, at: string): string {
  return typeof value === 'string' && value !== '' && value.length <= 200 ? value : wrong(at, value, 'text of 1 to 200 characters');
}

function number(value: unknown, at: string): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : wrong(at, value, 'a number');
}

function list(value: unknown, at: string): unknown[] {
  return Array.isArray(value) ? value : wrong(at, value, 'a list');
}

function oneOf(value: unknown, known: readonly string[], at: string): string {
  return typeof value === 'string' && known.includes(value) ? value : wrong(at, value, `one of ${known.join(', ')}`);
}
