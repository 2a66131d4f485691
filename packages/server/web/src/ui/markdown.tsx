/** An answer's text, block by block, so that what is whole stays as it is while more comes. */

import { useLayoutEffect, useRef } from 'preact/hooks';
import { blocksOf, purified } from '../text/markdown.ts';
import { copied, memo } from './parts.tsx';

interface MarkdownProps {
  text: string;
  /** Whether more may follow. */
  open: boolean;
  /** Whether code is coloured: another value draws it again. */
  colours: boolean;
}

export const Markdown = memo(({ text, open }: MarkdownProps) => (
  <div class="prose" onClick={copyCode}>
    {blocksOf(text, open).map((block, index) => (
      <Drawn key={index} html={block.html} />
    ))}
  </div>
));

const Drawn = memo(({ html }: { html: string }) => {
  const holder = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const content = purified(html);
    content.querySelectorAll('pre').forEach(frame);
    content.querySelectorAll('table').forEach(scrollable);
    holder.current?.replaceChildren(content);
  }, [html]);
  return <div class="block" ref={holder} />;
});

/** A head with the language and a button over a block of code. */
function frame(code: HTMLElement): void {
  const language = /language-(\S+)/.exec(code.querySelector('code')?.className ?? '')?.[1] ?? 'text';
  const figure = make('div', 'code');
  const head = make('div', 'code-head');
  const name = make('span', 'code-language', language);
  const button = make('button', 'button code-copy', 'Copy');
  button.setAttribute('type', 'button');
  button.setAttribute('aria-label', `Copy the ${language} code`);
  code.replaceWith(figure);
  head.append(name, button);
  // What scrolls must be reachable by keyboard.
  code.tabIndex = 0;
  code.setAttribute('role', 'region');
  code.setAttribute('aria-label', `Code, ${language}`);
  figure.append(head, code);
}

function scrollable(table: HTMLElement): void {
  const holder = make('div', 'table');
  holder.tabIndex = 0;
  holder.setAttribute('role', 'region');
  holder.setAttribute('aria-label', 'Table');
  table.replaceWith(holder);
  holder.append(table);
}

function make(tag: string, classes: string, text = ''): HTMLElement {
  const element = document.createElement(tag);
  element.className = classes;
  element.textContent = text;
  return element;
}

function copyCode(event: MouseEvent): void {
  const button = (event.target as Element).closest('.code-copy');
  const code = button?.closest('.code')?.querySelector('pre');
  if (button === null || button === undefined || code === null || code === undefined) return;
  void copied(code.textContent ?? '').then((done) => {
    button.textContent = done ? 'Copied' : 'Not copied';
    setTimeout(() => (button.textContent = 'Copy'), 1500);
  });
}
