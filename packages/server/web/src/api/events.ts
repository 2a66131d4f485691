/** Server-sent events out of a text stream that is cut anywhere. */

export interface ServerEvent {
  readonly name: string;
  readonly data: string;
}

/** Takes text as it arrives and gives the events that are whole. */
export class EventReader {
  private held = '';
  private name = '';
  private data: string[] = [];
  private begun = false;

  /** The events that this piece of text completes. */
  feed(text: string): ServerEvent[] {
    if (!this.begun && text !== '') {
      this.begun = true;
      text = text.replace(/^\uFEFF/, '');
    }
    this.held += text;
    const events: ServerEvent[] = [];
    for (;;) {
      const end = /\r\n|\n|\r/.exec(this.held);
      // A carriage return at the very end may be half of a pair.
      if (end === null || (end[0] === '\r' && end.index === this.held.length - 1)) return events;
      const line = this.held.slice(0, end.index);
      this.held = this.held.slice(end.index + end[0].length);
      const event = this.take(line);
      if (event !== null) events.push(event);
    }
  }

  private take(line: string): ServerEvent | null {
    if (line === '') {
      const event = this.data.length > 0 ? { name: this.name, data: this.data.join('\n') } : null;
      this.name = '';
      this.data = [];
      return event;
    }
    const colon = line.indexOf(':');
    if (colon === 0) return null; // a comment: the server shows that it lives
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') this.name = value;
    if (field === 'data') this.data.push(value);
    return null;
  }
}

/** The events of a response's body. */
export async function* eventsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const events = new EventReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield* events.feed(decoder.decode(value, { stream: true }));
    }
  } finally {
    // Whoever stops reading tells the server so.
    void reader.cancel().catch(() => undefined);
  }
}
