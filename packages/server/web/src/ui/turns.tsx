/** The turns of a chat. */

import { useEffect, useRef, useState } from 'preact/hooks';
import type { Call, Figures, Turn } from '../chat/model.ts';
import type { Page } from '../page.ts';
import { Markdown } from './markdown.tsx';
import { Icon, IconButton, copied, counted, memo } from './parts.tsx';

interface TurnProps {
  page: Page;
  turn: Turn;
  /** Its place among its versions, from 0, and how many there are. */
  version: number;
  versions: number;
  last: boolean;
  busy: boolean;
  /** Whether it is being written. */
  live: boolean;
  colours: boolean;
}

export const TurnView = memo((props: TurnProps) => {
  if (props.turn.role === 'user') return <Question {...props} />;
  return props.turn.role === 'tool' ? <Result {...props} /> : <Reply {...props} />;
});

function Question({ page, turn, busy, version, versions }: TurnProps) {
  const [editing, setEditing] = useState(false);
  const opener = useRef<HTMLButtonElement>(null);
  const close = () => {
    setEditing(false);
    requestAnimationFrame(() => opener.current?.focus());
  };
  return (
    <article class="turn question" aria-label="You" data-turn={turn.id}>
      {editing ? (
        <Editor
          text={turn.content}
          done={(text) => {
            close();
            page.edit(turn, text);
          }}
          cancel={close}
        />
      ) : (
        <div class="said">{turn.content}</div>
      )}
      <div class="actions" hidden={editing}>
        <Versions page={page} turn={turn} busy={busy} version={version} versions={versions} />
        <Copy text={turn.content} label="Copy message" />
        <button type="button" class="button bare" ref={opener} aria-label="Edit message" title="Edit message" disabled={busy} onClick={() => setEditing(true)}>
          <Icon name="edit" />
        </button>
      </div>
    </article>
  );
}

function Editor({ text, done, cancel }: { text: string; done: (text: string) => void; cancel: () => void }) {
  const [value, setValue] = useState(text);
  const area = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    area.current?.focus();
    area.current?.setSelectionRange(text.length, text.length);
  }, []);
  useGrowing(area, value);
  return (
    <div class="editor">
      <textarea
        ref={area}
        aria-label="Edit message"
        rows={1}
        value={value}
        onInput={(event) => setValue(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === 'Escape') {
            event.stopPropagation();
            cancel();
          } else if (sends(event)) {
            event.preventDefault();
            done(value);
          }
        }}
      />
      <div class="row end">
        <button type="button" class="button" onClick={cancel}>
          Cancel
        </button>
        <button type="button" class="button strong" disabled={value.trim() === ''} onClick={() => done(value)}>
          Send again
        </button>
      </div>
    </div>
  );
}

/** Whether a key sends: Enter by itself, but not on a touch screen, which has no other way to a new line. */
export function sends(event: KeyboardEvent): boolean {
  const modified = event.shiftKey || event.altKey || event.isComposing;
  return event.key === 'Enter' && !modified && (event.ctrlKey || event.metaKey || !matchMedia('(pointer: coarse)').matches);
}

/** Make a text box as high as its text; the style sheet limits it. */
export function useGrowing(area: { current: HTMLTextAreaElement | null }, value: string): void {
  useEffect(() => {
    const box = area.current;
    if (box === null) return;
    box.style.height = 'auto';
    box.style.height = `${box.scrollHeight + box.offsetHeight - box.clientHeight}px`;
  }, [value]);
}

function Reply({ page, turn, live, busy, last, colours, ...rest }: TurnProps) {
  const stoppedShort = turn.ending === 'stopped' || turn.ending === 'length' || (turn.ending === 'failed' && turn.content !== '');
  const full = isFull(turn, page.model?.context ?? null);
  return (
    <article class={`turn reply ${live ? 'live' : ''}`} aria-label={`Answer${turn.model === undefined ? '' : ` of ${turn.model}`}`} aria-busy={live} data-turn={turn.id}>
      {turn.reasoning !== undefined && <Thoughts text={turn.reasoning} thinking={live && turn.content === '' && turn.calls === undefined} />}
      {turn.content !== '' && <Markdown text={turn.content} open={live} colours={colours} />}
      {turn.calls !== undefined && <Calls page={page} turn={turn} calls={turn.calls} waits={last && !busy} />}
      {turn.failure !== undefined && (
        <div class="failure" role="group" aria-label="Error">
          <p>
            <strong>{turn.failure.message}</strong>
          </p>
          <p>{turn.failure.remedy}</p>
          {last && (
            <div class="row">
              <IconButton icon="again" label="Try again" text disabled={busy} onClick={() => page.again(turn)} />
              {turn.failure.kind === 'key' && <IconButton icon="settings" label="Enter a key" text onClick={() => page.open('key')} />}
            </div>
          )}
        </div>
      )}
      {!live && (
        <div class="foot">
          <div class="actions">
            <Versions page={page} turn={turn} busy={busy} {...rest} />
            <Copy text={turn.content} label="Copy answer" />
            {!(last && turn.failure !== undefined) && <IconButton icon="again" label="Another answer" disabled={busy} onClick={() => page.again(turn)} />}
            {stoppedShort && last && !full && <IconButton icon="next" label="Continue" text disabled={busy} onClick={() => page.goOn(turn)} />}
          </div>
          <p class="figures">{remarks(turn, full).join(' · ')}</p>
        </div>
      )}
    </article>
  );
}

/** Whether an answer was cut because the chat has no room left. */
function isFull({ ending, figures }: Turn, context: number | null): boolean {
  const used = (figures?.promptTokens ?? 0) + (figures?.answerTokens ?? 0);
  return ending === 'length' && context !== null && used >= context - 1;
}

function remarks(turn: Turn, full: boolean): string[] {
  const length = full ? 'cut, since the context is full' : 'cut at its greatest length';
  const ended: Partial<Record<string, string>> = { stopped: 'stopped', length };
  const said = ended[turn.ending ?? ''];
  return [...(said === undefined ? [] : [said]), ...measured(turn.figures ?? {})];
}

function measured({ answerTokens, tokensPerSecond, firstTokenSeconds, cachedTokens }: Figures): string[] {
  const parts: string[] = [];
  if (answerTokens !== undefined) parts.push(`${counted(answerTokens)} tokens`);
  if (tokensPerSecond !== undefined) parts.push(`${rate(tokensPerSecond)} tokens/s`);
  if (firstTokenSeconds !== undefined) parts.push(`first after ${firstTokenSeconds < 0.05 ? '< 0.1' : firstTokenSeconds.toFixed(firstTokenSeconds < 10 ? 1 : 0)} s`);
  if (cachedTokens !== undefined && cachedTokens > 0) parts.push(`${counted(cachedTokens)} remembered`);
  return parts;
}

/** Tokens a second, with a digit behind the point where that matters. */
export function rate(value: number): string {
  return value < 10 ? value.toFixed(1) : counted(value);
}

function Thoughts({ text, thinking }: { text: string; thinking: boolean }) {
  return (
    <details class="thoughts">
      <summary>
        <Icon name="unfold" />
        {thinking ? 'Thinking…' : 'Thoughts'}
      </summary>
      <div class="thought">{text.trim()}</div>
    </details>
  );
}

function Calls({ page, turn, calls, waits }: { page: Page; turn: Turn; calls: readonly Call[]; waits: boolean }) {
  const [results, setResults] = useState<string[]>([]);
  return (
    <div class="calls">
      {calls.map((call, index) => (
        <div class="call" key={index} role="group" aria-label={`Call of ${call.name}`}>
          <p class="call-name">
            <span class="call-mark">calls</span> <code>{call.name || '…'}</code>
          </p>
          <pre class="call-arguments" tabIndex={0} role="region" aria-label={`Arguments of ${call.name}`}>
            {pretty(call.arguments)}
          </pre>
          {waits && (
            <label>
              <span>Its result</span>
              <textarea
                rows={2}
                spellcheck={false}
                value={results[index] ?? ''}
                onInput={(event) => {
                  const value = event.currentTarget.value;
                  setResults((before) => calls.map((_, each) => (each === index ? value : (before[each] ?? ''))));
                }}
              />
            </label>
          )}
        </div>
      ))}
      {waits && (
        <div class="row">
          <button type="button" class="button strong" disabled={calls.some((_, index) => (results[index] ?? '') === '')} onClick={() => page.giveResults(turn, results)}>
            Send {calls.length === 1 ? 'the result' : 'the results'}
          </button>
          <span class="hint">This page runs no tools: you say what they give.</span>
        </div>
      )}
    </div>
  );
}

function pretty(json: string): string {
  try {
    return JSON.stringify(JSON.parse(json), null, 2);
  } catch {
    return json;
  }
}

function Result({ turn }: TurnProps) {
  return (
    <article class="turn result" aria-label="Result of a tool" data-turn={turn.id}>
      <span class="call-mark">gave</span>
      <pre tabIndex={0} role="region" aria-label="Result">
        {turn.content}
      </pre>
    </article>
  );
}

function Versions({ page, turn, version, versions, busy }: Omit<TurnProps, 'live' | 'last' | 'colours'>) {
  if (versions < 2) return null;
  const step = (by: number) => {
    const all = page.current.turns.filter((each) => each.parent === turn.parent && each.role === turn.role);
    const other = all[version + by];
    if (other !== undefined) page.choose(other);
  };
  return (
    <span class="versions" role="group" aria-label="Versions">
      <IconButton icon="previous" label="Earlier version" disabled={busy || version === 0} onClick={() => step(-1)} />
      <span>
        {version + 1}/{versions}
      </span>
      <IconButton icon="next" label="Later version" disabled={busy || version === versions - 1} onClick={() => step(1)} />
    </span>
  );
}

function Copy({ text, label }: { text: string; label: string }) {
  const [done, setDone] = useState(false);
  if (text === '') return null;
  const copy = async () => {
    setDone(await copied(text));
    setTimeout(() => setDone(false), 1500);
  };
  return <IconButton icon={done ? 'check' : 'copy'} label={done ? 'Copied' : label} onClick={() => void copy()} />;
}
