/** What can go wrong on the way to an answer, with what to do about it. */

export type FailureKind = 'unreachable' | 'key' | 'busy' | 'context' | 'model' | 'request' | 'server' | 'cut';

export interface Failure {
  readonly kind: FailureKind;
  /** What happened. */
  readonly message: string;
  /** What the reader can do. */
  readonly remedy: string;
}

export class FailureError extends Error {
  constructor(readonly failure: Failure) {
    super(failure.message);
  }
}

const REMEDIES: Record<FailureKind, string> = {
  unreachable: 'See whether headrace serve still runs, and whether this machine has a network; then try again.',
  key: 'Enter a key that this server accepts.',
  busy: 'Others are being answered. Try again in a moment.',
  context: 'Begin a new chat, edit an earlier message to be shorter, or load the model with a longer context.',
  model: 'Choose another model, or look into the server’s log to see why this one cannot be used.',
  request: 'Change what the message names, in Settings or in your text, and try again.',
  server: 'Try again. If it stays, the server’s log says why.',
  cut: 'What arrived is kept. Continue it, or ask for another answer.',
};

/** A failure with the remedy of its kind, or one of its own. */
export function failure(kind: FailureKind, message: string, remedy?: string): Failure {
  return { kind, message, remedy: remedy ?? REMEDIES[kind] };
}

/** The failure that a response other than a success stands for. */
export async function failureOf(response: Response): Promise<Failure> {
  let body: unknown;
  try {
    body = await response.json();
  } catch {
    body = null;
  }
  const wait = Number(response.headers.get('retry-after'));
  return failureIn(body, response.status, Number.isFinite(wait) && wait > 0 ? wait : null);
}

/** The failure in a body or an event of the shape `{"error": {…}}`. */
export function failureIn(body: unknown, status: number, wait: number | null = null): Failure {
  const error = field(body, 'error');
  const code = String(field(error, 'code') ?? '');
  const told = typeof error === 'string' ? error : field(error, 'message');
  const message = typeof told === 'string' && told !== '' ? sentence(told) : `The server answered with status ${status}.`;
  const kind = kindOf(status, code);
  if (kind === 'busy' && wait !== null) {
    return failure(kind, message, `Others are being answered. Try again in ${Math.ceil(wait)} s.`);
  }
  return failure(kind, message);
}

/** A message with a capital, unless it begins with the name of a field. */
function sentence(text: string): string {
  return /^[\w.[\]]+:|^['"`]/.test(text) ? text : text.charAt(0).toUpperCase() + text.slice(1);
}

function kindOf(status: number, code: string): FailureKind {
  if (status === 401) return 'key';
  if (status === 429 || code === 'busy' || code === 'model_loading') return 'busy';
  if (code === 'context_length_exceeded') return 'context';
  if (code.startsWith('model_') || code === 'template_error' || code === 'out_of_memory' || code === 'backend_unavailable') return 'model';
  return status >= 400 && status < 500 ? 'request' : 'server';
}

/** A field of something that may be no object. */
export function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}
