/** A dialog over the page: the browser keeps the focus in it, and Escape closes it. */

import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { IconButton } from './parts.tsx';

interface SheetProps {
  title: string;
  class?: string;
  close: () => void;
  children: ComponentChildren;
}

export function SheetView({ title, class: classes = '', close, children }: SheetProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    const element = dialog.current;
    element?.showModal();
    return () => {
      element?.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={dialog}
      class={`sheet ${classes}`}
      aria-label={title}
      onCancel={(event) => {
        event.preventDefault();
        close();
      }}
      onClick={(event) => event.target === dialog.current && close()}
    >
      <div class="sheet-inner">
        <header class="sheet-head">
          <h2>{title}</h2>
          <IconButton icon="close" label="Close" onClick={close} />
        </header>
        <div class="sheet-body">{children}</div>
      </div>
    </dialog>
  );
}
