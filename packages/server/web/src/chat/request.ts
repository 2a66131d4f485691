/** From a chat to the body of a request. */

import { field } from '../api/failure.ts';
import type { Chat, Manner, Turn } from './model.ts';

export class ToolsError extends Error {}

/** The body that asks for the answer to these turns. */
export function requestOf(chat: Chat, turns: readonly Turn[]): Record<string, unknown> {
  const { manner } = chat;
  const tools = toolsOf(manner.tools);
  const system = manner.system.trim() === '' ? [] : [{ role: 'system', content: manner.system }];
  return {
    ...(manner.model !== null && { model: manner.model }),
    messages: [...system, ...turns.map(messageOf)],
    ...manner.sampling,
    ...(tools.length > 0 && { tools }),
    ...thinkingOf(manner),
    stream: true,
    stream_options: { include_usage: true },
    // llama-server's word for being told how far the prompt has been read.
    return_progress: true,
  };
}

function messageOf(turn: Turn): Record<string, unknown> {
  if (turn.role === 'tool') return { role: 'tool', content: turn.content, tool_call_id: turn.callId };
  if (turn.role === 'user') return { role: 'user', content: turn.content };
  // A call that was cut off cannot be rendered by any template.
  const whole = (turn.calls ?? []).filter((call) => isObject(call.arguments || '{}'));
  return {
    role: 'assistant',
    content: turn.content,
    ...(turn.reasoning !== undefined && { reasoning_content: turn.reasoning }),
    ...(whole.length > 0 && {
      tool_calls: whole.map((call) => ({
        id: call.id,
        type: 'function',
        function: { name: call.name, arguments: call.arguments || '{}' },
      })),
    }),
  };
}

function isObject(json: string): boolean {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

function thinkingOf(manner: Manner): Record<string, unknown> {
  return manner.thinking === 'auto' ? {} : { chat_template_kwargs: { enable_thinking: manner.thinking === 'on' } };
}

/** The tools that were written down.
 *
 * @throws ToolsError with what is wrong, in words for whoever wrote them.
 */
export function toolsOf(written: string): unknown[] {
  if (written.trim() === '') return [];
  let tools: unknown;
  try {
    tools = JSON.parse(written);
  } catch (error) {
    throw new ToolsError(`Tools are no JSON: ${(error as Error).message}.`);
  }
  if (!Array.isArray(tools)) throw new ToolsError('Tools must be a JSON list: [ … ].');
  for (const [index, tool] of tools.entries()) {
    const name = field(field(tool, 'function'), 'name');
    if (field(tool, 'type') !== 'function' || typeof name !== 'string' || name === '') {
      throw new ToolsError(`Tool ${index + 1} must have "type": "function" and a "function" with a "name".`);
    }
  }
  return tools;
}
