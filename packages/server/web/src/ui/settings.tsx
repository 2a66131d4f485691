/** What the current chat asks with, and what holds for the page. */

import type { ComponentChildren } from 'preact';
import { useId, useRef, useState } from 'preact/hooks';
import type { Sampling, SamplingField, Thinking } from '../chat/model.ts';
import { SAMPLING } from '../chat/model.ts';
import { toolsOf } from '../chat/request.ts';
import type { Page, Scheme } from '../page.ts';
import { SheetView } from './sheet.tsx';

export function Settings({ page }: { page: Page }) {
  const { manner } = page.current;
  return (
    <SheetView title="Settings" class="side" close={() => page.open(null)}>
      <section>
        <h3>This chat, and the next ones</h3>
        <Field label="System prompt" hint="Tells the model who it is and how to answer">
          {(id) => (
            <textarea id={id} rows={3} value={manner.system} onInput={(event) => page.changeManner({ system: event.currentTarget.value })} />
          )}
        </Field>
        <Choice<Thinking>
          label="Thinking before the answer"
          values={{ auto: 'As the model does', on: 'On', off: 'Off' }}
          chosen={manner.thinking}
          choose={(thinking) => page.changeManner({ thinking })}
        />
        <div class="numbers">
          {SAMPLING.map((field) => (
            <NumberField key={field.name} field={field} sampling={manner.sampling} change={(sampling) => page.changeManner({ sampling })} />
          ))}
        </div>
        <p class="hint">An empty field is left to the server and to what the model’s makers recommend.</p>
        <ToolsField page={page} />
      </section>
      <section>
        <h3>Page</h3>
        <Choice<Scheme> label="Colours" values={{ system: 'As the system', light: 'Light', dark: 'Dark' }} chosen={page.scheme} choose={(scheme) => page.chooseScheme(scheme)} />
        <KeyField page={page} />
      </section>
      <Transfer page={page} />
      <section>
        <h3>Keys</h3>
        <dl class="keys">
          <dt>Enter</dt>
          <dd>sends the message</dd>
          <dt>Shift Enter</dt>
          <dd>begins a new line</dd>
          <dt>Esc</dt>
          <dd>stops the answer, closes what is open</dd>
          <dt>Alt N</dt>
          <dd>begins a new chat</dd>
          <dt>Alt S</dt>
          <dd>opens these settings</dd>
          <dt>Alt ↑</dt>
          <dd>edits your last message</dd>
        </dl>
      </section>
      <p class="hint">
        headrace, and{' '}
        <a href="./licenses.md" target="_blank" rel="noopener">
          the licences of what this page is made with
        </a>
      </p>
    </SheetView>
  );
}

function Field({ label, hint, error, children }: { label: string; hint?: string; error?: string | null; children: (id: string) => ComponentChildren }) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children(id)}
      {error ? (
        <p class="hint wrong" role="alert">
          {error}
        </p>
      ) : (
        hint !== undefined && <p class="hint">{hint}</p>
      )}
    </div>
  );
}

function Choice<T extends string>({ label, values, chosen, choose }: { label: string; values: Record<T, string>; chosen: T; choose: (value: T) => void }) {
  const name = useId();
  return (
    <fieldset class="choices">
      <legend>{label}</legend>
      {(Object.entries(values) as [T, string][]).map(([value, words]) => (
        <label key={value}>
          <input type="radio" name={name} value={value} checked={value === chosen} onChange={() => choose(value)} />
          <span>{words}</span>
        </label>
      ))}
    </fieldset>
  );
}

function NumberField({ field, sampling, change }: { field: SamplingField; sampling: Sampling; change: (sampling: Sampling) => void }) {
  const { name, label, hint, least, most, step } = field;
  const [error, setError] = useState<string | null>(null);
  const [text, setText] = useState(String(sampling[name] ?? ''));
  const take = (written: string) => {
    setText(written);
    const { [name]: _before, ...others } = sampling;
    const value = Number(written.replace(',', '.'));
    const fits = Number.isFinite(value) && value >= least && value <= most && (step !== 1 || Number.isInteger(value));
    if (written.trim() === '') change(others);
    else if (fits) change({ ...others, [name]: value });
    const range = most >= 10000 && least >= 0 ? `at least ${least}` : `from ${least} to ${most}`;
    setError(written.trim() === '' || fits ? null : `Write a ${step === 1 ? 'whole ' : ''}number ${range}; the value before stays`);
  };
  return (
    <Field label={label} hint={hint} error={error}>
      {(id) => (
        <input id={id} type="text" inputMode="decimal" autocomplete="off" placeholder="auto" value={text} aria-invalid={error !== null} onInput={(event) => take(event.currentTarget.value)} />
      )}
    </Field>
  );
}

function ToolsField({ page }: { page: Page }) {
  const written = page.current.manner.tools;
  let error: string | null = null;
  try {
    toolsOf(written);
  } catch (found) {
    error = found instanceof Error ? found.message : String(found);
  }
  return (
    <Field label="Tools" hint="A JSON list of definitions, as in OpenAI’s interface. Calls are shown, and you give their results." error={error}>
      {(id) => (
        <textarea id={id} class="mono" rows={3} spellcheck={false} value={written} aria-invalid={error !== null} onInput={(event) => page.changeManner({ tools: event.currentTarget.value })} />
      )}
    </Field>
  );
}

function KeyField({ page, first = false }: { page: Page; first?: boolean }) {
  const [key, setKey] = useState(page.key ?? '');
  return (
    <Field label="Key" hint="If the server asks for one. It is kept in this browser, and goes to this server alone.">
      {(id) => (
        <div class="row">
          <input id={id} type="password" autofocus={first} autocomplete="off" spellcheck={false} value={key} onInput={(event) => setKey(event.currentTarget.value)} onKeyDown={(event) => event.key === 'Enter' && page.useKey(key.trim())} />
          <button type="button" class="button" disabled={key.trim() === (page.key ?? '')} onClick={() => page.useKey(key.trim())}>
            {key.trim() === '' && page.key !== null ? 'Forget' : 'Save'}
          </button>
        </div>
      )}
    </Field>
  );
}

/** Asked for when the server refuses. */
export function KeySheet({ page }: { page: Page }) {
  return (
    <SheetView title={page.key === null ? 'This server needs a key' : 'The server does not accept this key'} class="small" close={() => page.open(null)}>
      <p>
        Whoever runs the server has one: it was given with <code>--api-key</code>.
      </p>
      <KeyField page={page} first />
    </SheetView>
  );
}

function Transfer({ page }: { page: Page }) {
  const file = useRef<HTMLInputElement>(null);
  const read = async () => {
    const chosen = file.current?.files?.[0];
    if (chosen !== undefined) page.import(await chosen.text());
    if (file.current !== null) file.current.value = '';
  };
  const count = page.chats.length;
  return (
    <section>
      <h3>Chats on this device</h3>
      <p class="hint">
        {count === 0 ? 'There are none yet.' : `${count === 1 ? 'One chat is' : `${count} chats are`} kept in this browser, and nowhere else.`}
      </p>
      <div class="row">
        <button type="button" class="button" disabled={count === 0} onClick={() => download(page.export())}>
          Export
        </button>
        <button type="button" class="button" onClick={() => file.current?.click()}>
          Import…
        </button>
        <button type="button" class="button" disabled={count === 0} onClick={() => page.remove(page.chats)}>
          Delete all
        </button>
        <input ref={file} id="import" type="file" accept="application/json,.json" hidden aria-label="File to import" onChange={() => void read()} />
      </div>
    </section>
  );
}

function download(text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = `headrace-chats-${new Date().toISOString().slice(0, 10)}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
