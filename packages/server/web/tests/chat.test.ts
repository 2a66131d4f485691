import assert from 'node:assert/strict';
import { test } from 'node:test';
import { modelOf } from '../src/api/client.ts';
import { failureIn } from '../src/api/failure.ts';
import { Answer } from '../src/chat/answer.ts';
import type { Role, Turn } from '../src/chat/model.ts';
import { MANNER } from '../src/chat/model.ts';
import { ToolsError, requestOf, toolsOf } from '../src/chat/request.ts';
import { newChat, showing, shownTurns, titleOf, versions, withChanged, withTurn, without } from '../src/chat/tree.ts';

function turn(id: string, parent: string | null, role: Role, content = id): Turn {
  return { id, parent, role, content, created: 1 };
}

/** A question with two answers, the first of which was asked on. */
function branched() {
  const turns = [turn('q', null, 'user'), turn('a1', 'q', 'assistant'), turn('q2', 'a1', 'user'), turn('b', 'q2', 'assistant'), turn('a2', 'q', 'assistant')];
  return turns.reduce(withTurn, newChat(MANNER));
}

const ids = (turns: Turn[]) => turns.map((each) => each.id).join(' ');

test('the newest branch is shown, and another one can be', () => {
  const chat = branched();
  assert.equal(ids(shownTurns(chat)), 'q a2');
  assert.equal(ids(versions(chat, turn('a2', 'q', 'assistant'))), 'a1 a2');
  assert.equal(ids(shownTurns(showing(chat, turn('a1', 'q', 'assistant')))), 'q a1 q2 b');
});

test('a turn is removed with all that follows it, and another version is shown', () => {
  const first = showing(branched(), turn('a1', 'q', 'assistant'));
  const rest = without(first, turn('a1', 'q', 'assistant'));
  assert.equal(ids([...rest.turns]), 'q a2');
  assert.equal(ids(shownTurns(rest)), 'q a2');
  assert.equal(ids(shownTurns(without(rest, turn('a2', 'q', 'assistant')))), 'q');
  assert.equal(without(rest, turn('q', null, 'user')).leaf, null);
});

test('a changed turn stays where it is', () => {
  const chat = withChanged(branched(), turn('a2', 'q', 'assistant', 'new'));
  assert.deepEqual(shownTurns(chat).map((each) => each.content), ['q', 'new']);
});

test('a chat is called after its first question', () => {
  assert.equal(branched().title, 'q');
  assert.equal(titleOf('  One line\nand more'), 'One line');
  assert.equal(titleOf(`${'word '.repeat(20)}`), `${'word '.repeat(11)}word…`);
  assert.equal(titleOf('🌊'.repeat(100)), `${'🌊'.repeat(60)}…`);
  assert.equal(titleOf(' \n '), 'New chat');
});

function chunk(delta: object, finish: string | null = null): object {
  return { choices: [{ index: 0, delta, finish_reason: finish }] };
}

test('an answer is put together out of its chunks', () => {
  let time = 0;
  const answer = new Answer(turn('a', 'q', 'assistant', ''), () => time);
  answer.take(chunk({ role: 'assistant', content: null }));
  answer.take({ choices: [], prompt_progress: { total: 100, processed: 40 } });
  assert.deepEqual(answer.reading, { done: 40, total: 100 });
  assert.equal(answer.speaking, false);
  time = 500;
  answer.take(chunk({ reasoning_content: 'Hm' }));
  assert.equal(answer.thinking, true);
  for (const each of ['Wa', 'ter', '.']) answer.take(chunk({ content: each }));
  assert.equal(answer.thinking, false);
  time = 2000;
  assert.equal(answer.pace, 2);
  answer.take(chunk({ tool_calls: [{ index: 1, id: 'c2', function: { name: 'add', arguments: '{"a"' } }] }));
  answer.take(chunk({ tool_calls: [{ index: 1, function: { arguments: ': 1}' } }] }));
  answer.take(chunk({}, 'tool_calls'));
  answer.take({ choices: [], usage: { prompt_tokens: 9, completion_tokens: 4, prompt_tokens_details: { cached_tokens: 3 } }, timings: { predicted_per_second: 33 } });
  const done = answer.ended();
  assert.equal(done.content, 'Water.');
  assert.equal(done.reasoning, 'Hm');
  assert.deepEqual(done.calls?.[1], { id: 'c2', name: 'add', arguments: '{"a": 1}' });
  assert.equal(done.ending, 'tool_calls');
  assert.deepEqual(done.figures, { promptTokens: 9, answerTokens: 4, cachedTokens: 3, tokensPerSecond: 33, firstTokenSeconds: 0.5 });
});

test('an answer that is gone on with keeps what it had', () => {
  const answer = new Answer(turn('a', 'q', 'assistant', 'A mill'), () => 0);
  answer.take(chunk({ content: ' turns.' }, 'length'));
  assert.equal(answer.ended().content, 'A mill turns.');
  assert.equal(answer.ended().ending, 'length');
  assert.equal(answer.ended('stopped').ending, 'stopped');
});

test('chunks of the wrong kind change nothing', () => {
  const answer = new Answer(turn('a', 'q', 'assistant', ''));
  for (const each of [null, 5, [], {}, { choices: {} }, { choices: [5] }, chunk({ content: 5, tool_calls: 'x' }), { usage: 'x', timings: { predicted_per_second: 'fast' } }]) {
    answer.take(each);
  }
  assert.equal(answer.snapshot().content, '');
  assert.equal(answer.finished, false);
});

test('a request has the system prompt, the turns and what was set, and nothing else', () => {
  const manner = { ...MANNER, model: 'small', system: 'Be brief.', sampling: { temperature: 0 }, thinking: 'off' as const };
  const chat = { ...branched(), manner };
  const calls = [{ id: 'x', name: 'add', arguments: '{"a": 1}' }, { id: 'y', name: 'add', arguments: '{"a"' }];
  const tail: Turn[] = [{ ...turn('c', 'q', 'assistant', ''), calls, reasoning: 'Hm' }, { ...turn('t', 'c', 'tool', '1'), callId: 'x' }];
  const body = requestOf(chat, [turn('q', null, 'user'), ...tail]) as any;
  assert.deepEqual(body.messages, [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'q' },
    { role: 'assistant', content: '', reasoning_content: 'Hm', tool_calls: [{ id: 'x', type: 'function', function: { name: 'add', arguments: '{"a": 1}' } }] },
    { role: 'tool', content: '1', tool_call_id: 'x' },
  ]);
  assert.equal(body.model, 'small');
  assert.equal(body.temperature, 0);
  assert.deepEqual(body.chat_template_kwargs, { enable_thinking: false });
  const plain = requestOf(newChat(MANNER), [turn('q', null, 'user')]);
  assert.deepEqual(Object.keys(plain), ['messages', 'stream', 'stream_options', 'return_progress']);
});

test('tools that are none are refused with what is wrong', () => {
  assert.deepEqual(toolsOf('  '), []);
  assert.equal(toolsOf('[{"type": "function", "function": {"name": "add"}}]').length, 1);
  for (const wrong of ['{', '{}', '[5]', '[{"type": "function", "function": {}}]']) assert.throws(() => toolsOf(wrong), ToolsError);
});

test('each failure has a remedy of its kind', () => {
  const of = (status: number, code = '', wait: number | null = null) => failureIn({ error: { message: 'm', code } }, status, wait);
  assert.equal(of(401).kind, 'key');
  assert.equal(of(429, '', 3).remedy, 'Others are being answered. Try again in 3 s.');
  assert.equal(of(400, 'context_length_exceeded').kind, 'context');
  assert.equal(of(503, 'model_load_failed').kind, 'model');
  assert.equal(of(400, 'template_error').kind, 'model');
  assert.equal(of(400, 'invalid_value').kind, 'request');
  assert.equal(of(500).kind, 'server');
  assert.equal(failureIn(null, 502).message, 'The server answered with status 502.');
  assert.equal(failureIn({ error: 'told by another server' }, 500).message, 'Told by another server');
  assert.equal(failureIn({ error: { message: 'top_p: must be a number' } }, 400).message, 'top_p: must be a number');
  assert.equal(of(403).kind, 'request');
});

test('states of models are read in several words', () => {
  assert.deepEqual(modelOf({ id: 'm', status: { value: 'loading', progress: 0.5, message: 'was ill' }, meta: { n_ctx: 4096 } }), { id: 'm', state: 'loading', progress: 0.5, context: 4096, error: 'was ill' });
  assert.equal(modelOf({ id: 'm', status: 'loaded' })?.state, 'loaded');
  assert.equal(modelOf({ id: 'm', state: 'failed', error: { message: 'no file' } })?.error, 'no file');
  assert.equal(modelOf({ id: 'm' })?.state, 'unknown');
  assert.equal(modelOf({}), null);
});
