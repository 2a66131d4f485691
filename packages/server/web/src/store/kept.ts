/** Small values that the browser keeps, such as the colours and the key. */

/** What was kept under a name; undefined if nothing was, or the browser keeps nothing. */
export function kept(name: string): unknown {
  try {
    const text = localStorage.getItem(`headrace.${name}`);
    return text === null ? undefined : (JSON.parse(text) as unknown);
  } catch {
    return undefined;
  }
}

/** Keep a value; undefined forgets it. */
export function keep(name: string, value: unknown): void {
  try {
    if (value === undefined) localStorage.removeItem(`headrace.${name}`);
    else localStorage.setItem(`headrace.${name}`, JSON.stringify(value));
  } catch {
    // It holds until the page is closed.
  }
}
