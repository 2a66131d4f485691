/** The box to write in, with the level of the context below it. */

import { useEffect, useRef } from 'preact/hooks';
import type { Turn } from '../chat/model.ts';
import type { Page } from '../page.ts';
import { IconButton, counted } from './parts.tsx';
import { rate, sends, useGrowing } from './turns.tsx';

export function Composer({ page, turns }: { page: Page; turns: readonly Turn[] }) {
  const area = useRef<HTMLTextAreaElement>(null);
  useGrowing(area, page.draft);
  useEffect(() => {
    // On a phone the keyboard would cover the page.
    if (!matchMedia('(pointer: coarse)').matches) area.current?.focus();
  }, [page.current.id]);
  const busy = page.run !== null;
  const send = () => {
    const text = page.draft;
    if (text.trim() === '') return;
    // At once: what is typed before the next frame is the next message.
    if (area.current !== null) area.current.value = '';
    page.send(text);
    area.current?.focus();
  };
  return (
    <footer class="composer">
      <div class="box">
        <textarea
          id="message"
          ref={area}
          rows={1}
          aria-label="Message"
          placeholder="Ask something"
          enterkeyhint="enter"
          value={page.draft}
          onInput={(event) => page.write(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (!sends(event)) return;
            event.preventDefault();
            if (!busy) send();
          }}
        />
        {busy ? (
          <IconButton icon="stop" label="Stop" class="round" onClick={() => page.stop()} />
        ) : (
          <IconButton icon="send" label="Send" class="round strong" disabled={page.draft.trim() === ''} onClick={send} />
        )}
      </div>
      <Level page={page} turns={turns} />
    </footer>
  );
}

/** How much of the context is used, and how fast the answer comes. */
function Level({ page, turns }: { page: Page; turns: readonly Turn[] }) {
  const used = usedTokens(turns);
  const most = page.model?.context ?? null;
  const share = used === null || most === null ? null : Math.min(1, used / most);
  const bar = useRef<HTMLDivElement>(null);
  useEffect(() => {
    bar.current?.style.setProperty('--level', String(share ?? 0));
  }, [share]);
  const pace = page.run?.answer.pace ?? null;
  return (
    <div class="level">
      {share !== null && used !== null && most !== null && (
        <div
          class={`channel ${share > 0.85 ? 'high' : ''}`}
          ref={bar}
          role="meter"
          aria-label="Context used"
          aria-valuemin={0}
          aria-valuemax={most}
          aria-valuenow={used}
          aria-valuetext={`${counted(used)} of ${counted(most)} tokens`}
        />
      )}
      <p class="figures">
        <span>{used === null ? keys() : `${counted(used)}${most === null ? '' : ` of ${counted(most)}`} tokens of context`}</span>
        <span>{pace === null ? '' : `≈ ${rate(pace)} tokens/s`}</span>
      </p>
    </div>
  );
}

function keys(): string {
  return matchMedia('(pointer: coarse)').matches ? '' : 'Enter sends, Shift+Enter begins a line, Esc stops';
}

/** What the server counted last on the branch that is shown. */
export function usedTokens(turns: readonly Turn[]): number | null {
  const counts = turns.map(({ figures }) => figures).filter((each) => each?.promptTokens !== undefined);
  const last = counts.at(-1);
  return last === undefined ? null : (last.promptTokens ?? 0) + (last.answerTokens ?? 0);
}
