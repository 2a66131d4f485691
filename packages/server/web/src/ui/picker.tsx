/** Which model answers, and whether it is in memory. */

import { useEffect, useRef, useState } from 'preact/hooks';
import type { Model } from '../api/client.ts';
import type { Page } from '../page.ts';
import { Icon } from './parts.tsx';

/** From this many models on there is a box to look for one. */
const MANY = 7;

export function Picker({ page }: { page: Page }) {
  const [open, setOpen] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const holder = useRef<HTMLDivElement>(null);
  const close = (focus: boolean) => {
    setOpen(false);
    if (focus) button.current?.focus();
  };
  useEffect(() => {
    if (!open) return undefined;
    const outside = (event: PointerEvent) => {
      if (!holder.current?.contains(event.target as Node)) setOpen(false);
    };
    addEventListener('pointerdown', outside);
    return () => removeEventListener('pointerdown', outside);
  }, [open]);
  const model = page.model;
  return (
    <div class="picker" ref={holder}>
      <button
        type="button"
        class="button picker-button"
        ref={button}
        aria-haspopup="listbox"
        aria-expanded={open}
        aria-label={model === null ? 'Model' : `Model: ${model.id}, ${stateOf(model)}`}
        onClick={() => {
          setOpen(!open);
          if (!open) void page.refreshModels();
        }}
      >
        {model !== null && <span class={`dot ${model.state}`} />}
        <span class="picker-name">{model?.id ?? (page.modelsFailure === null ? 'Asking for models…' : 'No models')}</span>
        <Icon name="unfold" />
      </button>
      {open && <Choice page={page} close={close} />}
    </div>
  );
}

function Choice({ page, close }: { page: Page; close: (focus: boolean) => void }) {
  const [wanted, setWanted] = useState('');
  const found = page.models.filter((model) => model.id.toLowerCase().includes(wanted.toLowerCase()));
  const [at, setAt] = useState(() => Math.max(0, page.models.findIndex((model) => model.id === page.model?.id)));
  const focus = useRef<HTMLElement>(null);
  const list = useRef<HTMLUListElement>(null);
  useEffect(() => focus.current?.focus(), []);
  const active = Math.min(at, found.length - 1);
  useEffect(() => list.current?.children[active]?.scrollIntoView({ block: 'nearest' }), [active]);
  const choose = (model: Model | undefined) => {
    if (model === undefined) return;
    page.changeManner({ model: model.id });
    close(true);
  };
  const press = (event: KeyboardEvent) => {
    const moves: Record<string, number> = { ArrowDown: active + 1, ArrowUp: active - 1, Home: 0, End: found.length - 1 };
    const to = moves[event.key];
    if (event.key === 'Escape') {
      event.stopPropagation();
      close(true);
    } else if (event.key === 'Enter' || (event.key === ' ' && page.models.length < MANY)) choose(found[active]);
    else if (to !== undefined) setAt(Math.max(0, Math.min(found.length - 1, to)));
    else return;
    event.preventDefault();
  };
  const shared = {
    ref: focus as never,
    'aria-controls': 'models',
    'aria-activedescendant': found.length > 0 ? `model-${active}` : undefined,
    onKeyDown: press,
  };
  const model = page.model;
  return (
    <div class="choice">
      {page.models.length >= MANY && (
        <input
          type="text"
          role="combobox"
          aria-expanded="true"
          aria-label="Look for a model"
          placeholder="Look for a model"
          value={wanted}
          onInput={(event) => {
            setWanted(event.currentTarget.value);
            setAt(0);
          }}
          {...shared}
        />
      )}
      <ul id="models" ref={list} role="listbox" aria-label="Models" tabIndex={-1} {...(page.models.length < MANY ? listProps(shared, list, focus) : {})}>
        {found.map((each, index) => (
          <li
            key={each.id}
            id={`model-${index}`}
            role="option"
            aria-selected={each.id === model?.id}
            class={index === active ? 'active' : ''}
            onClick={() => choose(each)}
            onPointerMove={() => index !== active && setAt(index)}
          >
            <span class={`dot ${each.state}`} />
            <span class="picker-name">{each.id}</span>
            <span class="state">{stateOf(each)}</span>
          </li>
        ))}
      </ul>
      {found.length === 0 && <p class="hint">{page.modelsFailure?.message ?? 'There is no such model.'}</p>}
      {model !== null && model.error !== null && <p class="hint">{model.error}</p>}
      {model !== null && model.state !== 'unknown' && (
        <div class="row">
          {model.state === 'loaded' ? (
            <button type="button" class="button" onClick={() => void page.changeModel('unload', model.id)}>
              Take out of memory
            </button>
          ) : (
            <button type="button" class="button" disabled={model.state === 'loading'} onClick={() => void page.changeModel('load', model.id)}>
              Load now
            </button>
          )}
        </div>
      )}
    </div>
  );
}

/** The list takes the keys itself where there is no box above it. */
function listProps(shared: object, list: { current: HTMLUListElement | null }, focus: { current: HTMLElement | null }): object {
  return {
    ...shared,
    tabIndex: 0,
    ref: (element: HTMLUListElement | null) => {
      list.current = element;
      focus.current = element;
    },
  };
}

/** A model's state in words. */
export function stateOf(model: Model): string {
  const words = { loaded: 'in memory', unloaded: 'loads when asked', sleeping: 'asleep', failed: 'failed to load', unknown: '' };
  if (model.state !== 'loading') return words[model.state];
  return model.progress === null ? 'loading' : `loading, ${Math.round(model.progress * 100)} %`;
}
