import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventReader, eventsOf } from '../src/api/events.ts';

const STREAM = ': ping\r\n\r\ndata: {"a":1}\r\n\r\nevent: error\r\ndata: one\r\ndata:two\n\nid: 7\rdata:  x\r\rdata: [DONE]\n\n';
const EVENTS = [
  { name: '', data: '{"a":1}' },
  { name: 'error', data: 'one\ntwo' },
  { name: '', data: ' x' },
  { name: '', data: '[DONE]' },
];

test('events are the same wherever the stream is cut', () => {
  for (let first = 0; first <= STREAM.length; first += 1) {
    for (let second = first; second <= STREAM.length; second += 7) {
      const reader = new EventReader();
      const found = [STREAM.slice(0, first), STREAM.slice(first, second), STREAM.slice(second)].flatMap((piece) => reader.feed(piece));
      assert.deepEqual(found, EVENTS, `cut at ${first} and ${second}`);
    }
  }
});

test('a byte order mark at the beginning is no part of the first field', () => {
  assert.deepEqual(new EventReader().feed('\uFEFFdata: x\n\n'), [{ name: '', data: 'x' }]);
});

test('an event that is not ended by an empty line is not given', () => {
  assert.deepEqual(new EventReader().feed('data: x\n'), []);
});

test('letters whose bytes come apart are put together', async () => {
  const bytes = new TextEncoder().encode('data: Grüße 🌊\n\n');
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const byte of bytes) controller.enqueue(new Uint8Array([byte]));
      controller.close();
    },
  });
  const found = [];
  for await (const event of eventsOf(body)) found.push(event.data);
  assert.deepEqual(found, ['Grüße 🌊']);
});

test('who stops reading ends the stream', async () => {
  let cancelled = false;
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(new TextEncoder().encode('data: x\n\n')),
    cancel: () => {
      cancelled = true;
    },
  });
  for await (const event of eventsOf(body)) {
    assert.equal(event.data, 'x');
    break;
  }
  assert.equal(cancelled, true);
});
