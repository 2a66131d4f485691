/** The page as a whole. */

import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Turn } from '../chat/model.ts';
import { shownTurns, versions } from '../chat/tree.ts';
import type { Page } from '../page.ts';
import { blocksOf, spoken } from '../text/markdown.ts';
import { Chats } from './chats.tsx';
import { Composer } from './composer.tsx';
import { IconButton, counted } from './parts.tsx';
import { Picker } from './picker.tsx';
import { KeySheet, Settings } from './settings.tsx';
import { SheetView } from './sheet.tsx';
import { TurnView } from './turns.tsx';

export function App({ page }: { page: Page }) {
  const [, draw] = useState(0);
  useEffect(() => page.listen(() => draw((before) => before + 1)), [page]);
  useKeys(page);
  const turns = shownTurns(page.current);
  useEffect(() => {
    document.title = turns.length === 0 ? 'headrace' : `${page.current.title} · headrace`;
  });
  return (
    <div class="frame">
      <aside class="beside">
        <p class="name">
          <img src="./icon.svg" alt="" width="24" height="24" /> headrace
        </p>
        <Chats page={page} />
      </aside>
      <div class="main">
        <header class="top">
          <IconButton icon="chats" label="Chats" class="narrow-only" onClick={() => page.open('chats')} />
          <Picker page={page} />
          <span class="stretch" />
          <IconButton icon="add" label="New chat" class="narrow-only" onClick={() => page.begin()} />
          <IconButton icon="settings" label="Settings" onClick={() => page.open('settings')} />
        </header>
        <Conversation page={page} turns={turns} />
        <Composer page={page} turns={turns} />
      </div>
      {page.sheet === 'settings' && <Settings page={page} />}
      {page.sheet === 'key' && <KeySheet page={page} />}
      {page.sheet === 'chats' && (
        <SheetView title="Chats" class="side left" close={() => page.open(null)}>
          <Chats page={page} />
        </SheetView>
      )}
      <NoticeLine page={page} />
      <Announcer page={page} turns={turns} />
    </div>
  );
}

function Conversation({ page, turns }: { page: Page; turns: readonly Turn[] }) {
  const scroller = useRef<HTMLElement>(null);
  const [away, setAway] = useState(false);
  const pinned = useRef(true);
  const lastId = turns.at(-1)?.id;
  const run = page.run;
  const down = () => {
    pinned.current = true;
    setAway(false);
    scroller.current?.scrollTo({ top: scroller.current.scrollHeight });
  };
  // Another chat, or another turn of the reader's own: its end is what is wanted.
  useLayoutEffect(down, [page.current.id, run?.turn.id]);
  useLayoutEffect(() => {
    if (pinned.current) scroller.current?.scrollTo({ top: scroller.current.scrollHeight });
  });
  return (
    <main
      class="scroller"
      ref={scroller}
      onScroll={() => {
        const element = scroller.current;
        if (element === null) return;
        pinned.current = element.scrollHeight - element.scrollTop - element.clientHeight < 40;
        const far = element.scrollHeight - element.scrollTop - element.clientHeight > 200;
        if (far !== away) setAway(far);
      }}
    >
      <div class="column">
        {turns.length === 0 && <Welcome page={page} />}
        {turns.map((turn) => {
          const all = versions(page.current, turn);
          return (
            <TurnView
              key={turn.id}
              page={page}
              turn={turn}
              version={all.findIndex((each) => each.id === turn.id)}
              versions={all.length}
              last={turn.id === lastId}
              busy={run !== null}
              live={run?.turn.id === turn.id}
              colours={page.colours}
            />
          );
        })}
        {run !== null && !run.answer.speaking && <Waiting page={page} />}
      </div>
      {away && <IconButton icon="down" label="To the end" class="round to-end" onClick={down} />}
    </main>
  );
}

function Welcome({ page }: { page: Page }) {
  const trouble = page.modelsFailure;
  if (trouble !== null) {
    return (
      <div class="welcome" role="alert">
        <h1>{trouble.message}</h1>
        <p>{trouble.remedy}</p>
        <p>
          <IconButton icon="again" label="Try again" text onClick={() => void page.refreshModels()} />
          {trouble.kind === 'key' && <IconButton icon="settings" label="Enter a key" text onClick={() => page.open('key')} />}
        </p>
      </div>
    );
  }
  return (
    <div class="welcome">
      <h1>What would you like to know?</h1>
      <p>The model runs on this server. What you write goes there, and is kept in this browser.</p>
    </div>
  );
}

/** Why nothing is there yet. */
function Waiting({ page }: { page: Page }) {
  const run = page.run;
  const reading = run?.answer.reading ?? null;
  const share = reading !== null && reading.total > 0 ? reading.done / reading.total : null;
  return (
    <div class="waiting">
      <span class="ripple" aria-hidden="true" />
      <span>{waitingFor(page)}</span>
      {share !== null && <progress aria-label="Prompt read" max={1} value={share} />}
    </div>
  );
}

function waitingFor(page: Page): string {
  const reading = page.run?.answer.reading ?? null;
  const model = page.models.find((each) => each.id === page.run?.turn.model);
  if (model?.state === 'loading') {
    return model.progress === null ? 'Loading the model…' : `Loading the model: ${Math.round(model.progress * 100)} %`;
  }
  if (reading !== null && reading.done < reading.total) return `Reading the prompt: ${counted(reading.done)} of ${counted(reading.total)} tokens`;
  return 'Waiting for the answer…';
}

function NoticeLine({ page }: { page: Page }) {
  const notice = page.notice;
  useEffect(() => {
    if (notice === null || notice.wrong) return undefined;
    const timer = setTimeout(() => page.notice === notice && page.tell(null), 10_000);
    return () => clearTimeout(timer);
  }, [notice]);
  // In a popover it lies above dialogs too.
  const line = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (notice !== null) {
      line.current?.hidePopover();
      line.current?.showPopover();
    } else line.current?.hidePopover();
  }, [notice]);
  return (
    <div class="notice" popover="manual" ref={line} role={notice?.wrong ? 'alert' : 'status'} data-wrong={notice?.wrong ?? false}>
      {notice !== null && (
        <>
          <span>{notice.text}</span>
          {notice.undo !== undefined && (
            <button
              type="button"
              class="button"
              onClick={() => {
                notice.undo?.();
                page.tell(null);
              }}
            >
              Undo
            </button>
          )}
          <IconButton icon="close" label="Close notice" onClick={() => page.tell(null)} />
        </>
      )}
    </div>
  );
}

/** Says what happens to those who listen: an answer paragraph by paragraph, not letter by letter. */
function Announcer({ page, turns }: { page: Page; turns: readonly Turn[] }) {
  const run = page.run;
  const [lines, setLines] = useState<string[]>([]);
  const said = useRef({ turn: '', blocks: 0 });
  const last = turns.at(-1);
  useEffect(() => {
    if (last === undefined || last.role !== 'assistant') return;
    if (said.current.turn !== last.id) {
      // A chat that is opened is read, not told.
      if (run?.turn.id !== last.id) return;
      said.current = { turn: last.id, blocks: 0 };
      setLines(['Answering.']);
    }
    const blocks = last.content === '' ? [] : blocksOf(last.content, run !== null);
    const whole = run === null ? blocks.length : blocks.length - 1;
    if (whole > said.current.blocks) {
      const more = blocks.slice(said.current.blocks, whole).map(spoken);
      said.current.blocks = whole;
      setLines((before) => [...before.slice(-20), ...more]);
    }
    if (run === null) {
      said.current.turn = '';
      const end = last.failure === undefined ? 'The answer is complete.' : `${last.failure.message} ${last.failure.remedy}`;
      setLines((before) => [...before.slice(-20), last.ending === 'stopped' ? 'The answer was stopped.' : end]);
    }
  }, [last, run === null]);
  return (
    <div class="unseen" role="log" aria-live="polite" aria-label="Answers">
      {lines.map((line, index) => (
        <p key={index}>{line}</p>
      ))}
    </div>
  );
}

function useKeys(page: Page): void {
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.defaultPrevented || document.querySelector('dialog[open]') !== null) return;
      if (event.key === 'Escape') page.stop();
      else if (event.altKey && !event.ctrlKey && !event.metaKey && event.code === 'KeyN') page.begin();
      else if (event.altKey && !event.ctrlKey && !event.metaKey && event.code === 'KeyS') page.open('settings');
      else if (event.altKey && event.key === 'ArrowUp') editLast();
      else return;
      event.preventDefault();
    };
    addEventListener('keydown', press);
    return () => removeEventListener('keydown', press);
  }, [page]);
}

function editLast(): void {
  const buttons = document.querySelectorAll<HTMLButtonElement>('.question button[aria-label="Edit message"]');
  buttons[buttons.length - 1]?.click();
}
