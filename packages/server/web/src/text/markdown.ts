/** From what a model wrote to HTML that can do nothing.
 *
 * Two steps, each of them enough by itself: tags in the text are shown as the text that they are, and
 * what Markdown makes is put through DOMPurify, which keeps the few elements and attributes below.
 */

import DOMPurify from 'dompurify';
import type { Config } from 'dompurify';
import { Marked } from 'marked';
import type { Token, TokensList } from 'marked';

const TAGS = [
  'a', 'blockquote', 'br', 'code', 'del', 'em', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'hr', 'img', 'kbd', 'li',
  'ol', 'p', 'pre', 'span', 'strong', 'sub', 'sup', 'table', 'tbody', 'td', 'th', 'thead', 'tr', 'ul',
];
const HARMLESS = /^<(?:br\s*\/?|\/?(?:sub|sup|kbd))>$/i;
const LINK = /^(?:https?:|mailto:)/i;
const PICTURE = /^data:image\/(?:png|jpeg|gif|webp);base64,[a-z0-9+/=\s]*$/i;
const CLASS = /^(?:hljs-[a-z_-]+|language-[a-z0-9+#-]{1,30})$/i;

const POLICY: Config = {
  ALLOWED_TAGS: TAGS,
  ALLOWED_ATTR: ['align', 'alt', 'class', 'href', 'rel', 'src', 'start', 'target', 'title'],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  RETURN_DOM_FRAGMENT: true,
};

/** Code of the block that is still being written is coloured up to this many characters. */
const MOST_LIVE = 6_000;

let live = false;

let highlighted: (code: string, language: string) => string | null = () => null;

/** Have code coloured from now on; what was drawn before is to be drawn again. */
export async function bringColours(): Promise<void> {
  ({ highlighted } = await import('./highlight.ts'));
  known.clear();
}

const marked = new Marked({ gfm: true, breaks: true });
marked.use({
  renderer: {
    html: ({ text }) => (HARMLESS.test(text.trim()) ? text : escaped(text)),
    image: ({ href, text }) =>
      PICTURE.test(href) ? `<img src="${escaped(href)}" alt="${escaped(text)}">` : anchor(href, escaped(text || href)),
    link({ href, tokens }) {
      return anchor(href, this.parser.parseInline(tokens));
    },
    checkbox: ({ checked }) => (checked ? '☑ ' : '☐ '),
    code({ text, lang }) {
      const language = /^[\w+#-]*/.exec(lang ?? '')?.[0].toLowerCase() ?? '';
      const coloured = live && text.length > MOST_LIVE ? null : highlighted(text, language);
      const named = language === '' ? '' : ` class="language-${language}"`;
      return `<pre><code${named}>${coloured ?? escaped(text)}</code></pre>`;
    },
  },
});

function anchor(href: string, inside: string): string {
  // Another scheme is no link: its address is shown, and can be copied.
  if (!LINK.test(href)) return `${inside} (${escaped(href)})`;
  return `<a href="${escaped(href)}" target="_blank" rel="noopener noreferrer nofollow">${inside}</a>`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (each) => `&#${each.charCodeAt(0)};`);
}

/** A paragraph, a list, a block of code: what is drawn by itself, and stays while more is written. */
export interface Block {
  readonly html: string;
  /** The Markdown, for whoever listens instead. */
  readonly source: string;
}

const known = new Map<string, Block>();
const MOST_KNOWN = 2_000;

/** The blocks of a text.
 *
 * @param open Whether more text may follow, so that the last block is not whole.
 */
export function blocksOf(text: string, open = false): Block[] {
  const tokens = marked.lexer(text);
  const drawn = tokens.filter((token) => token.type !== 'space' && token.type !== 'def');
  return drawn.map((token, index) => blockOf(token, tokens.links, open && index === drawn.length - 1));
}

function blockOf(token: Token, links: TokensList['links'], unfinished: boolean): Block {
  const name = `${token.type} ${token.raw}`;
  // A link may be defined further down, and then the same text is another block.
  const plain = Object.keys(links ?? {}).length === 0;
  const found = plain && !unfinished ? known.get(name) : undefined;
  if (found !== undefined) return found;
  live = unfinished;
  const block = { html: marked.parser(Object.assign([token], { links })), source: token.raw };
  live = false;
  if (plain && !unfinished) {
    if (known.size >= MOST_KNOWN) known.clear();
    known.set(name, block);
  }
  return block;
}

/** HTML as nodes, without anything that could run, load or look like the page's own controls. */
export function purified(html: string): DocumentFragment {
  const clean = DOMPurify.sanitize(html, POLICY) as unknown as DocumentFragment;
  for (const element of clean.querySelectorAll('*')) tidy(element);
  return clean;
}

function tidy(element: Element): void {
  const classes = [...element.classList].filter((each) => CLASS.test(each));
  if (classes.length > 0) element.setAttribute('class', classes.join(' '));
  else element.removeAttribute('class');
  if (element.localName === 'a') {
    if (!LINK.test(element.getAttribute('href') ?? '')) element.removeAttribute('href');
    element.setAttribute('rel', 'noopener noreferrer nofollow');
    element.setAttribute('target', '_blank');
  }
  // No picture of another host: asking for it would tell that host that the answer was read.
  if (element.localName === 'img' && !PICTURE.test(element.getAttribute('src') ?? '')) element.remove();
}

/** The words of a block, without its markup. */
export function spoken(block: Block): string {
  if (/^\s*(```|~~~)/.test(block.source)) return 'A block of code.';
  return purified(block.html).textContent?.trim() ?? '';
}

