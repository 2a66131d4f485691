import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Chat } from '../src/chat/model.ts';
import { MANNER } from '../src/chat/model.ts';
import { exported, imported, merged, restored, restoredManner } from '../src/store/transfer.ts';

const CHAT: Chat = {
  id: 'c1',
  title: 'Mills',
  created: 1,
  updated: 2,
  manner: { ...MANNER, model: 'small', system: 'Be brief.', sampling: { temperature: 0.5, seed: 0 } },
  turns: [
    { id: 'a', parent: null, role: 'user', content: 'What drives a mill?', created: 1 },
    {
      id: 'b', parent: 'a', role: 'assistant', content: 'Water.', created: 2, reasoning: 'Hm.', model: 'small', ending: 'stop',
      calls: [{ id: 'x', name: 'look', arguments: '{}' }], figures: { answerTokens: 2, tokensPerSecond: 12.5 },
    },
    { id: 't', parent: 'b', role: 'tool', content: '42', created: 3, callId: 'x' },
  ],
  leaf: 't',
};

/** An export in which one thing is not as it should be. */
function broken(change: (file: any) => void): string {
  const file = JSON.parse(exported([CHAT]));
  change(file);
  return JSON.stringify(file);
}

test('what was exported comes back as it was', () => {
  assert.deepEqual(imported(exported([CHAT])), [CHAT]);
});

const WRONG: [string, (file: any) => void, RegExp][] = [
  ['another format', (file) => (file.format = 'chats'), /no export of chats/],
  ['another version', (file) => (file.version = 2), /version 2, and this page reads version 1/],
  ['no list', (file) => (file.chats = {}), /^chats must be a list, and is \{\}/],
  ['a role of its own', (file) => (file.chats[0].turns[0].role = 'root'), /chats\[0\]\.turns\[0\]\.role must be one of user, assistant, tool, and is "root"/],
  ['a number for text', (file) => (file.chats[0].turns[1].content = 5), /turns\[1\]\.content must be text, and is 5/],
  ['a parent that is not there', (file) => (file.chats[0].turns[0].parent = 'zz'), /turns\[0\]\.parent must be the id of an earlier turn/],
  ['turns in a circle', (file) => (file.chats[0].turns[0].parent = 'b'), /turns\[0\]\.parent/],
  ['a name used twice', (file) => (file.chats[0].turns[1].id = 'a'), /turns\[1\]\.id/],
  ['a leaf that is not there', (file) => (file.chats[0].leaf = 'zz'), /chats\[0\]\.leaf/],
  ['a temperature of 99', (file) => (file.chats[0].manner.sampling.temperature = 99), /sampling\.temperature must be from 0 to 5, and is 99/],
  ['no manner', (file) => delete file.chats[0].manner, /manner/],
  ['a call without a name', (file) => delete file.chats[0].turns[1].calls[0].name, /calls\[0\]\.name must be text, and is absent/],
  ['an empty id', (file) => (file.chats[0].id = ''), /chats\[0\]\.id/],
];
for (const [what, change, message] of WRONG) {
  test(`a file with ${what} is refused, and it is said where`, () => {
    assert.throws(() => imported(broken(change)), { message });
  });
}

test('what is no JSON is refused', () => {
  assert.throws(() => imported('<html>'), { message: /no JSON/ });
  assert.throws(() => imported('null'), { message: /no export/ });
});

test('fields that are not known do not come in', () => {
  const [chat] = imported(broken((file) => (file.chats[0].turns[0].html = '<script>')));
  assert.deepEqual(chat, CHAT);
});

test('an import adds what is not there, and takes nothing away', () => {
  assert.deepEqual(merged([CHAT], [CHAT]), []);
  const [other, ...rest] = merged([CHAT], [{ ...CHAT, title: 'Rivers' }]);
  assert.deepEqual(rest, []);
  assert.notEqual(other?.id, CHAT.id);
  assert.deepEqual({ ...other, id: CHAT.id }, { ...CHAT, title: 'Rivers' });
  const twice = merged([], [CHAT, { ...CHAT, title: 'Rivers' }]);
  assert.equal(new Set(twice.map((chat) => chat.id)).size, 2);
});

test('a damaged chat in the database is passed over, damaged settings are the plain ones', () => {
  assert.equal(restored({ id: 'x' }), null);
  assert.deepEqual(restored(CHAT), CHAT);
  assert.deepEqual(restoredManner({ model: 5 }), MANNER);
  assert.deepEqual(restoredManner(CHAT.manner), CHAT.manner);
});
