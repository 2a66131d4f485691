import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JSDOM } from 'jsdom';

const { window } = new JSDOM('<!doctype html>');
Object.assign(globalThis, { window, document: window.document, Element: window.Element, DocumentFragment: window.DocumentFragment });
// It looks for a window when it is imported.
const { blocksOf, bringColours, purified, spoken } = await import('../src/text/markdown.ts');

function markup(fragment: DocumentFragment): string {
  const holder = document.createElement('div');
  holder.append(fragment);
  return holder.innerHTML;
}

const drawn = (text: string, open = false) => blocksOf(text, open).map((block) => markup(purified(block.html))).join('');

test('Markdown becomes elements', () => {
  assert.equal(drawn('**bold** and `code`'), '<p><strong>bold</strong> and <code>code</code></p>\n');
  assert.match(drawn('| a | b |\n|:-:|---|\n| 1 | 2 |'), /<th align="center">a<\/th>/);
  assert.match(drawn('- [x] done\n- [ ] open'), /☑ done.*☐ open/s);
  assert.match(drawn('3. three\n4. four'), /<ol start="3">/);
});

test('code is coloured once the colours are there, and plain in languages that are not known', async () => {
  assert.match(drawn('```python\ndef f(): pass\n```'), /<code class="language-python">def f/);
  await bringColours();
  assert.match(drawn('```python\ndef f(): pass\n```'), /<code class="language-python"><span class="hljs-keyword">def<\/span>/);
  assert.equal(drawn('```brainfuck\n<b>\n```'), '<pre><code class="language-brainfuck">&lt;b&gt;</code></pre>');
});

test('links open elsewhere without a way back, and only to where links lead', () => {
  assert.match(drawn('[a](https://example.org)'), /<a href="https:\/\/example\.org" target="_blank" rel="noopener noreferrer nofollow">a<\/a>/);
  assert.equal(drawn('[a](javascript:alert(1))'), '<p>a (javascript:alert(1))</p>\n');
  assert.equal(drawn('[a][r]\n\n[r]: data:text/html,x').includes('<a'), false);
  assert.match(drawn('[a][r]\n\n[r]: https://example.org'), /<a href="https:\/\/example\.org"/);
});

test('pictures of other hosts are links, those within the answer are shown', () => {
  assert.match(drawn('![spy](https://example.org/x.png)'), /<p><a [^>]*>spy<\/a><\/p>/);
  assert.match(drawn('![dot](data:image/png;base64,AAAA)'), /<img src="data:image\/png;base64,AAAA" alt="dot">/);
  assert.equal(drawn('![x](data:image/svg+xml;base64,AAAA)').includes('<img'), false);
});

test('tags are text, but for a few that cannot do anything', () => {
  assert.equal(drawn('H<sub>2</sub>O'), '<p>H<sub>2</sub>O</p>\n');
  assert.equal(drawn('<b onclick="x">hi</b>').includes('<b'), false);
  assert.match(drawn('<script>alert(1)</script>'), /&lt;script&gt;/);
  assert.equal(drawn('<sub onclick=x>a</sub>').includes('<sub '), false);
});

const HOSTILE = [
  '<script>alert(1)</script>', '<img src=x onerror=alert(1)>', '<svg onload=alert(1)><script>1</script></svg>',
  '<math><mi xlink:href="javascript:alert(1)">x</mi></math>', '<a href="javascript:alert(1)">x</a>', '<iframe srcdoc="<script>1</script>"></iframe>',
  '<form action="https://evil.example"><input name=x><button>go</button></form>', '<style>@import url(https://evil.example)</style>',
  '<p style="background:url(https://evil.example)">x</p>', '<object data="data:text/html,x"></object>', '<base href="https://evil.example">',
  '<meta http-equiv=refresh content="0;url=https://evil.example">', '<link rel=stylesheet href=https://evil.example>',
  '<details open ontoggle=alert(1)>x</details>', '<img src="https://evil.example/x.png">', '<img srcset="https://evil.example/x.png 1x">',
  '<span class="send button" id="page">x</span>', '<noscript><p title="</noscript><img src=x onerror=alert(1)>"></noscript>',
  '<svg><style><img src=x onerror=alert(1)></style></svg>', '<template><script>1</script></template>', '<a href=" java\nscript:alert(1)">x</a>',
];

test('the second step alone lets nothing hostile through either', () => {
  for (const html of HOSTILE) {
    const clean = purified(html);
    for (const element of clean.querySelectorAll('*')) {
      assert.match(element.localName, /^(a|p|span|img|kbd|sub|sup)$/, html);
      for (const attribute of element.attributes) {
        assert.match(attribute.name, /^(rel|target|href|alt|title)$/, `${attribute.name} of ${html}`);
        assert.doesNotMatch(attribute.value, /script|evil/i, html);
      }
    }
  }
});

test('both steps together make text of what is hostile', () => {
  for (const html of HOSTILE) {
    const holder = document.createElement('div');
    holder.append(...blocksOf(html).map((block) => purified(block.html)));
    assert.equal(holder.querySelector('script, img, svg, math, iframe, form, input, style, object, base, meta, link, details, template'), null, html);
  }
});

test('blocks that are whole stay the same while more is written', () => {
  const before = blocksOf('One.\n\nTwo', true);
  const after = blocksOf('One.\n\nTwo and more', true);
  assert.equal(before[0], after[0]);
  assert.notEqual(before[1]?.html, after[1]?.html);
});

test('a listener hears words, and that there is code', () => {
  assert.deepEqual(blocksOf('A **mill**.\n\n```js\nx\n```').map(spoken), ['A mill.', 'A block of code.']);
});
