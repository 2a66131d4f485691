/** The chats that are kept, the newest first. */

import { useState } from 'preact/hooks';
import type { Chat } from '../chat/model.ts';
import type { Page } from '../page.ts';
import { IconButton } from './parts.tsx';

/** From this many chats on there is a box to look for one. */
const MANY = 8;

export function Chats({ page }: { page: Page }) {
  const [wanted, setWanted] = useState('');
  const [renamed, setRenamed] = useState<string | null>(null);
  const found = page.chats.filter((chat) => has(chat, wanted.trim().toLowerCase()));
  return (
    <nav class="chats" aria-label="Chats">
      <IconButton icon="add" label="New chat" text class="new-chat" onClick={() => page.begin()} />
      {page.chats.length >= MANY && (
        <input type="search" aria-label="Look through chats" placeholder="Look through chats" value={wanted} onInput={(event) => setWanted(event.currentTarget.value)} />
      )}
      <ul>
        {found.map((chat) => (
          <li key={chat.id} class={chat.id === page.current.id ? 'current' : ''}>
            {renamed === chat.id ? (
              <Title
                chat={chat}
                done={(title) => {
                  page.rename(chat, title);
                  setRenamed(null);
                }}
              />
            ) : (
              <>
                <button type="button" class="chat" aria-current={chat.id === page.current.id ? 'page' : undefined} onClick={() => page.show(chat)}>
                  {page.runs.has(chat.id) && <span class="dot loading" role="img" aria-label="being answered" />}
                  <span>{chat.title}</span>
                </button>
                <span class="chat-actions">
                  <IconButton icon="edit" label={`Rename ${chat.title}`} onClick={() => setRenamed(chat.id)} />
                  <IconButton icon="remove" label={`Delete ${chat.title}`} onClick={() => page.remove([chat])} />
                </span>
              </>
            )}
          </li>
        ))}
      </ul>
      {page.ready && found.length === 0 && <p class="hint">{page.chats.length === 0 ? 'What you ask is kept here, in this browser alone.' : 'No chat has that in it.'}</p>}
    </nav>
  );
}

function Title({ chat, done }: { chat: Chat; done: (title: string) => void }) {
  const [title, setTitle] = useState(chat.title);
  return (
    <input
      type="text"
      aria-label="Title"
      autofocus
      ref={(element) => {
        if (element !== null && document.activeElement !== element) element.focus();
      }}
      value={title}
      onInput={(event) => setTitle(event.currentTarget.value)}
      onBlur={() => done(title)}
      onKeyDown={(event) => {
        if (event.key === 'Enter') done(title);
        if (event.key === 'Escape') {
          event.stopPropagation();
          done(chat.title);
        }
      }}
    />
  );
}

function has(chat: Chat, wanted: string): boolean {
  return wanted === '' || [chat.title, ...chat.turns.map((turn) => turn.content)].some((text) => text.toLowerCase().includes(wanted));
}
