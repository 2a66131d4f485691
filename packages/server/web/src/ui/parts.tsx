/** Small parts that others are made of. */

import { Component } from 'preact';
import type { ComponentChildren, FunctionComponent, JSX } from 'preact';

const PATHS = {
  add: 'M12 5v14M5 12h14',
  again: 'M20 11a8 8 0 1 0-2.3 6.2M20 5v6h-6',
  chats: 'M4 6h16M4 12h16M4 18h10',
  check: 'm5 12.5 4.5 4.5L19 7.5',
  close: 'm6 6 12 12M18 6 6 18',
  copy: 'M9 9h11v11H9zM15 9V4H4v11h5',
  down: 'M12 5v14m-6-6 6 6 6-6',
  edit: 'm4 20 1-4L16 5l3 3L8 19z',
  next: 'm9 6 6 6-6 6',
  previous: 'm15 6-6 6 6 6',
  remove: 'M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13',
  send: 'M12 19V5m-6 6 6-6 6 6',
  settings: 'M4 7h9m4 0h3M4 17h3m4 0h9M13 4.5v5M7 14.5v5',
  stop: 'M7 7h10v10H7z',
  unfold: 'm7 10 5 5 5-5',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}

type ButtonProps = Omit<JSX.IntrinsicElements['button'], 'icon' | 'label'> & { icon: IconName; label: string; text?: boolean };

/** A button with a picture, and its name beside it or for those who hover and listen. */
export function IconButton({ icon, label, text = false, class: classes = '', ...rest }: ButtonProps) {
  return (
    <button type="button" class={`button ${text ? 'with-text' : 'bare'} ${String(classes)}`} aria-label={label} title={text ? undefined : label} {...rest}>
      <Icon name={icon} />
      {text && <span>{label}</span>}
    </button>
  );
}

/** A component that is drawn again when one of its values is another one. */
export function memo<P extends object>(inner: FunctionComponent<P>): new (props: P) => Component<P> {
  return class extends Component<P> {
    override shouldComponentUpdate(next: Readonly<P>): boolean {
      const names = new Set([...Object.keys(next), ...Object.keys(this.props)]);
      return [...names].some((name) => next[name as keyof P] !== (this.props as Readonly<P>)[name as keyof P]);
    }
    override render(): ComponentChildren {
      const Inner = inner as FunctionComponent<object>;
      return <Inner {...this.props} />;
    }
  };
}

/** Put text on the clipboard, also where the page has no secure context. */
export async function copied(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement('textarea');
    area.value = text;
    area.className = 'unseen';
    (document.querySelector('dialog[open]') ?? document.body).append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    return done;
  }
}

/** A number as people write it. */
export function counted(value: number): string {
  return Math.round(value).toLocaleString('en');
}
