/** What the page knows and does; the components show it and call it. */

import type { Model } from './api/client.ts';
import { Client } from './api/client.ts';
import type { Failure } from './api/failure.ts';
import { FailureError, failure } from './api/failure.ts';
import type { Chat, Manner, Turn } from './chat/model.ts';
import { newId } from './chat/model.ts';
import { requestOf } from './chat/request.ts';
import { Run } from './chat/runs.ts';
import { newChat, showing, shownTurns, withChanged, withTurn, without } from './chat/tree.ts';
import { History } from './store/history.ts';
import { keep, kept } from './store/kept.ts';
import { exported, imported, merged, restored, restoredManner } from './store/transfer.ts';
import { bringColours } from './text/markdown.ts';

export type Scheme = 'system' | 'light' | 'dark';
export type Sheet = 'settings' | 'chats' | 'key' | null;

/** A line at the foot of the page, with something to undo perhaps. */
export interface Notice {
  readonly text: string;
  readonly wrong?: boolean;
  readonly undo?: () => void;
}

export class Page {
  chats: Chat[] = [];
  /** The chat that is shown; one without turns is in no list yet. */
  current: Chat;
  models: Model[] = [];
  modelsFailure: Failure | null = null;
  readonly runs = new Map<string, Run>();
  sheet: Sheet = null;
  notice: Notice | null = null;
  scheme: Scheme;
  draft: string;
  /** Whether code is coloured by now. */
  colours = false;
  /** Whether the chats that were kept have been read. */
  ready = false;
  private readonly client = new Client();
  private history: History | null = null;
  private readonly listeners = new Set<() => void>();
  private planned = false;
  /** When the page was drawn last, and how long that took, in milliseconds. */
  private drawn = 0;
  private cost = 0;
  private later: ReturnType<typeof setTimeout> | undefined;
  private afterKey: (() => void) | null = null;
  private askAgain: number | undefined;
  private readonly others = 'BroadcastChannel' in window ? new BroadcastChannel('headrace.chats') : null;

  constructor() {
    const scheme = kept('scheme');
    this.scheme = scheme === 'light' || scheme === 'dark' ? scheme : 'system';
    const key = kept('key');
    this.client.key = typeof key === 'string' ? key : null;
    this.current = newChat(restoredManner(kept('manner')));
    const draft = kept('draft');
    this.draft = asked() ?? (typeof draft === 'string' ? draft : '');
  }

  /** Read what was kept, and ask the server for its models. */
  async start(): Promise<void> {
    this.others?.addEventListener('message', (event: MessageEvent<unknown>) => void this.reread(event.data));
    addEventListener('hashchange', () => this.showHash());
    void this.refreshModels();
    void bringColours().then(() => {
      this.colours = true;
      this.changed();
    });
    try {
      this.history = await History.open();
      this.chats = (await this.history.all()).map(settled).sort(byAge);
    } catch {
      this.tell({ text: 'This browser keeps nothing for this page: chats last until it is closed.', wrong: true });
    }
    this.ready = true;
    this.showHash();
    this.changed();
  }

  // -- telling the components ------------------------------------------------

  /** Have a function called after each change. */
  listen(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Something is different: it is shown with the next frame. */
  changed(): void {
    if (this.planned) return;
    this.planned = true;
    requestAnimationFrame((begun) => {
      this.planned = false;
      for (const listener of this.listeners) listener();
      // The components are drawn after this task; a task of its own comes when they are.
      setTimeout(() => {
        this.drawn = performance.now();
        this.cost = this.drawn - begun;
      });
    });
  }

  /** An answer has grown: where drawing takes long, most of the time is left for the reader. */
  private grown(): void {
    const rest = this.drawn + 3 * this.cost - performance.now();
    if (rest < 16) this.changed();
    else this.later ??= setTimeout(() => {
      this.later = undefined;
      this.changed();
    }, Math.min(rest, 1000));
  }

  tell(notice: Notice | null): void {
    this.notice = notice;
    this.changed();
  }

  open(sheet: Sheet): void {
    this.sheet = sheet;
    if (sheet !== 'key') this.afterKey = null;
    this.changed();
  }

  // -- models ----------------------------------------------------------------

  /** The model that answers in the current chat. */
  get model(): Model | null {
    return this.models.find((model) => model.id === this.current.manner.model) ?? this.models[0] ?? null;
  }

  /** Ask which models there are, and in what state; again soon, if one is being loaded. */
  async refreshModels(): Promise<void> {
    clearTimeout(this.askAgain);
    try {
      this.models = await this.client.models();
      this.modelsFailure = null;
    } catch (error) {
      this.modelsFailure = told(error);
      if (this.modelsFailure.kind === 'key' && this.sheet === null) this.askKey(() => undefined);
    }
    if (this.models.some((model) => model.state === 'loading')) {
      this.askAgain = window.setTimeout(() => void this.refreshModels(), 1000);
    }
    this.changed();
  }

  /** Have the current model loaded, or taken out of memory. */
  async changeModel(what: 'load' | 'unload', model: string): Promise<void> {
    this.models = this.models.map((each) => (each.id === model && what === 'load' ? { ...each, state: 'loading' } : each));
    this.changed();
    try {
      await this.client.change(what, model);
    } catch (error) {
      const { message, remedy } = told(error);
      this.tell({ text: `${message} ${remedy}`, wrong: true });
    }
    await this.refreshModels();
  }

  // -- chats -----------------------------------------------------------------

  get run(): Run | null {
    return this.runs.get(this.current.id) ?? null;
  }

  /** Begin a chat with the settings of the current one. */
  begin(): void {
    this.current = newChat(this.current.manner);
    this.shown();
  }

  show(chat: Chat): void {
    this.current = this.chats.find((each) => each.id === chat.id) ?? chat;
    this.shown();
  }

  private shown(): void {
    const hash = this.current.turns.length > 0 ? `#${this.current.id}` : '';
    // Without the question: a page that is loaded again does not ask for it again.
    window.history.replaceState(null, '', location.pathname + hash);
    this.sheet = null;
    this.changed();
  }

  private showHash(): void {
    const chat = this.chats.find((each) => `#${each.id}` === location.hash);
    if (chat !== undefined && chat.id !== this.current.id) this.show(chat);
    else if (location.search !== '') this.shown();
  }

  rename(chat: Chat, title: string): void {
    const trimmed = title.trim();
    if (trimmed !== '') this.store({ ...chat, title: trimmed });
  }

  /** Remove chats; until the page is closed that can be undone. */
  remove(gone: readonly Chat[]): void {
    for (const chat of gone) {
      this.runs.get(chat.id)?.stop();
      void this.history?.remove(chat.id).then(() => this.others?.postMessage(chat.id));
    }
    const ids = new Set(gone.map((chat) => chat.id));
    this.chats = this.chats.filter((chat) => !ids.has(chat.id));
    if (ids.has(this.current.id)) this.current = newChat(this.current.manner);
    const text = gone.length === 1 ? 'The chat was deleted.' : `${gone.length} chats were deleted.`;
    this.tell({ text, undo: () => gone.forEach((chat) => this.store(settled(chat))) });
  }

  changeManner(manner: Partial<Manner>): void {
    const changed = { ...this.current.manner, ...manner };
    keep('manner', changed);
    this.store({ ...this.current, manner: changed });
  }

  write(draft: string): void {
    this.draft = draft;
    keep('draft', draft === '' ? undefined : draft);
    this.changed();
  }

  /** Take a chat's new value over, and keep it. */
  private store(chat: Chat, whole = true): void {
    if (this.current.id === chat.id) this.current = chat;
    if (chat.turns.length > 0) {
      this.chats = [chat, ...this.chats.filter((each) => each.id !== chat.id)].sort(byAge);
      if (whole) this.save(chat);
    }
    if (whole) this.changed();
    else this.grown();
  }

  private save(chat: Chat): void {
    this.history?.put(chat).then(
      () => this.others?.postMessage(chat.id),
      (error: unknown) => this.tell({ text: `This chat could not be kept: ${String(error)}. Export it in Settings.`, wrong: true }),
    );
  }

  /** Another window of the page has changed something. */
  private async reread(id: unknown): Promise<void> {
    if (typeof id !== 'string' || this.runs.has(id)) return;
    const found = (await this.history?.one(id)) ?? null;
    const rest = this.chats.filter((chat) => chat.id !== id);
    this.chats = found === null ? rest : [found, ...rest].sort(byAge);
    if (this.current.id === id) this.current = found ?? newChat(this.current.manner);
    this.changed();
  }

  // -- asking ----------------------------------------------------------------

  /** Send a message and ask for its answer. */
  send(text: string): void {
    if (text.trim() === '' || this.run !== null) return;
    this.write('');
    this.say({ role: 'user', content: text, parent: this.current.leaf });
    this.shown();
    this.ask();
  }

  /** Send another version of a message, as a branch beside it. */
  edit(turn: Turn, text: string): void {
    if (text.trim() === '' || this.run !== null) return;
    this.say({ role: 'user', content: text, parent: turn.parent });
    this.ask();
  }

  /** Ask for another answer, beside this one; one that failed without a word is replaced. */
  again(turn: Turn): void {
    if (this.run !== null) return;
    if (turn.content === '' && turn.calls === undefined && turn.reasoning === undefined) {
      this.current = without(this.current, turn);
    }
    this.current = { ...this.current, leaf: turn.parent };
    this.ask();
  }

  /** Have an answer go on where it ended. */
  goOn(turn: Turn): void {
    if (this.run !== null) return;
    const { ending: _ending, failure: _failure, figures: _figures, ...begun } = turn;
    this.current = { ...withChanged(this.current, begun), leaf: turn.id };
    this.follow(begun, shownTurns(this.current));
  }

  /** Give the results of an answer's calls, and ask on. */
  giveResults(turn: Turn, results: readonly string[]): void {
    if (this.run !== null) return;
    this.current = { ...this.current, leaf: turn.id };
    turn.calls?.forEach((call, index) => {
      this.say({ role: 'tool', content: results[index] ?? '', parent: this.current.leaf, callId: call.id });
    });
    this.ask();
  }

  choose(turn: Turn): void {
    if (this.run === null) this.store(showing(this.current, turn));
  }

  stop(): void {
    this.run?.stop();
  }

  private say(turn: Pick<Turn, 'role' | 'content' | 'parent' | 'callId'>): void {
    this.store(withTurn(this.current, { ...turn, id: newId(), created: Date.now() }));
  }

  private ask(): void {
    const model = this.model?.id ?? this.current.manner.model;
    const turn: Turn = {
      id: newId(), parent: this.current.leaf, role: 'assistant', content: '', created: Date.now(),
      ...(model !== null && { model }),
    };
    const turns = shownTurns(this.current);
    this.current = withTurn(this.current, turn);
    this.follow(turn, turns);
  }

  private follow(turn: Turn, turns: readonly Turn[]): void {
    const chatId = this.current.id;
    const run = new Run(chatId, turn, {
      grown: (grown, whole) => {
        const chat = this.current.id === chatId ? this.current : this.chats.find((each) => each.id === chatId);
        if (chat !== undefined) this.store({ ...withChanged(chat, grown), updated: Date.now() }, whole);
      },
    });
    this.runs.set(chatId, run);
    this.store(this.current);
    void this.carryOut(run, turn, turns);
  }

  private async carryOut(run: Run, turn: Turn, turns: readonly Turn[]): Promise<void> {
    const watching = this.watchLoading(run);
    try {
      const manner = { ...this.current.manner, model: turn.model ?? this.current.manner.model };
      const failed = await run.go(this.client, requestOf({ ...this.current, manner }, turns));
      if (failed?.kind === 'key') this.askKey(() => this.retry(run.chatId, turn.id));
    } catch (error) {
      // What was set cannot be sent.
      const why = failure('request', error instanceof Error ? error.message : String(error), 'Correct it in Settings, and try again.');
      this.store(withChanged(this.current, { ...turn, ending: 'failed', failure: why }));
    } finally {
      clearInterval(watching);
      this.runs.delete(run.chatId);
      this.changed();
      void this.refreshModels();
    }
  }

  private retry(chatId: string, turnId: string): void {
    const turn = this.current.turns.find((each) => each.id === turnId);
    if (this.current.id === chatId && turn !== undefined) this.again(turn);
  }

  /** While nothing comes, see whether it is because a model is loaded. */
  private watchLoading(run: Run): number {
    return window.setInterval(() => {
      if (!run.answer.speaking) void this.refreshModels();
    }, 1000);
  }

  // -- key, colours, files -----------------------------------------------------

  get key(): string | null {
    return this.client.key;
  }

  private askKey(then: () => void): void {
    this.open('key');
    this.afterKey = then;
  }

  /** Use a key from now on, and go on with what needed it. */
  useKey(key: string | null): void {
    const then = this.afterKey;
    this.client.key = key === '' ? null : key;
    keep('key', this.client.key ?? undefined);
    if (this.sheet === 'key') this.open(null);
    void this.refreshModels().then(() => {
      if (this.client.key !== null) then?.();
    });
  }

  chooseScheme(scheme: Scheme): void {
    this.scheme = scheme;
    keep('scheme', scheme === 'system' ? undefined : scheme);
    if (scheme === 'system') delete document.documentElement.dataset.scheme;
    else document.documentElement.dataset.scheme = scheme;
    this.changed();
  }

  /** Chats as the text of a file. */
  export(chats: readonly Chat[] = this.chats): string {
    return exported(chats);
  }

  /** Take over the chats of a file. */
  import(text: string): void {
    try {
      const added = merged(this.chats, imported(text));
      added.forEach((chat) => this.store(settled(chat)));
      const count = added.length === 1 ? 'One chat was' : `${added.length} chats were`;
      this.tell({ text: added.length === 0 ? 'All chats of the file are here already.' : `${count} imported.` });
    } catch (error) {
      this.tell({ text: error instanceof Error ? error.message : String(error), wrong: true });
    }
  }
}

/** A question that came with the address: it is written into the box, and never sent. */
function asked(): string | null {
  return new URLSearchParams(location.search).get('q');
}

/** A chat as it is when no answer is under way: what was cut by a reload has been stopped. */
function settled(chat: Chat): Chat {
  const turns = chat.turns.map((turn) =>
    turn.role === 'assistant' && turn.ending === undefined ? { ...turn, ending: 'stopped' as const } : turn,
  );
  return restored({ ...chat, turns }) ?? chat;
}

function byAge(one: Chat, other: Chat): number {
  return other.updated - one.updated;
}

function told(error: unknown): Failure {
  return error instanceof FailureError ? error.failure : failure('server', String(error));
}
