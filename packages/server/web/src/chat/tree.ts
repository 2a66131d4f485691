/** A chat's turns are a tree: an edit or another answer is a new branch, and one branch is shown. */

import type { Chat, Manner, Turn } from './model.ts';
import { newId } from './model.ts';

export const UNTITLED = 'New chat';
const TITLE_LENGTH = 60;

/** A chat without a turn. */
export function newChat(manner: Manner, now = Date.now()): Chat {
  return { id: newId(), title: UNTITLED, created: now, updated: now, manner, turns: [], leaf: null };
}

/** The turns that are shown, the first one first. */
export function shownTurns(chat: Chat): Turn[] {
  const byId = new Map(chat.turns.map((turn) => [turn.id, turn]));
  const path: Turn[] = [];
  for (let at = chat.leaf; at !== null; ) {
    const turn = byId.get(at);
    if (turn === undefined) break;
    path.push(turn);
    at = turn.parent;
  }
  return path.reverse();
}

/** The versions of a turn, itself among them, in the order they were made. */
export function versions(chat: Chat, turn: Turn): Turn[] {
  return chat.turns.filter((each) => each.parent === turn.parent && each.role === turn.role);
}

/** The chat with one more turn, which is shown. */
export function withTurn(chat: Chat, turn: Turn): Chat {
  const titled = chat.title === UNTITLED && turn.role === 'user' ? titleOf(turn.content) : chat.title;
  return { ...chat, title: titled, turns: [...chat.turns, turn], leaf: turn.id, updated: turn.created };
}

/** The chat with a turn in place of the one of the same name. */
export function withChanged(chat: Chat, turn: Turn): Chat {
  return { ...chat, turns: chat.turns.map((each) => (each.id === turn.id ? turn : each)) };
}

/** The chat without a turn and what follows from it; another version is shown if there is one. */
export function without(chat: Chat, turn: Turn): Chat {
  const gone = new Set([turn.id]);
  // A turn stands behind its parent in the list.
  for (const each of chat.turns) if (each.parent !== null && gone.has(each.parent)) gone.add(each.id);
  const turns = chat.turns.filter((each) => !gone.has(each.id));
  const rest = { ...chat, turns };
  if (chat.leaf === null || !gone.has(chat.leaf)) return rest;
  const other = versions(rest, turn).at(-1);
  return other === undefined ? { ...rest, leaf: turn.parent } : showing(rest, other);
}

/** The chat with a version shown, and of what follows from it the newest. */
export function showing(chat: Chat, turn: Turn): Chat {
  let leaf = turn;
  for (;;) {
    const next = chat.turns.filter((each) => each.parent === leaf.id).at(-1);
    if (next === undefined) return { ...chat, leaf: leaf.id };
    leaf = next;
  }
}

/** A title out of what was asked first. */
export function titleOf(text: string): string {
  const line = text.trim().split(/\s*\n/, 1)[0] ?? '';
  if (line === '') return UNTITLED;
  const letters = Array.from(line);
  if (letters.length <= TITLE_LENGTH) return line;
  const cut = letters.slice(0, TITLE_LENGTH).join('');
  return `${cut.includes(' ') ? cut.slice(0, cut.lastIndexOf(' ')) : cut}…`;
}
