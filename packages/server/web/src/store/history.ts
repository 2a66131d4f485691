/** Chats in the browser's own database. */

import type { Chat } from '../chat/model.ts';
import { restored } from './transfer.ts';

const NAME = 'headrace';
const STORE = 'chats';

/** Where chats are kept on this device. */
export class History {
  private constructor(private readonly database: IDBDatabase) {}

  /** @throws DOMException where the browser has no database for this page. */
  static async open(): Promise<History> {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: 'id' });
    return new History(await done(request));
  }

  /** All chats that can be read. */
  async all(): Promise<Chat[]> {
    const found = await done(this.store('readonly').getAll() as IDBRequest<unknown[]>);
    return found.map(restored).filter((chat) => chat !== null);
  }

  /** A chat, if there is one of this name that can be read. */
  async one(id: string): Promise<Chat | null> {
    return restored(await done(this.store('readonly').get(id) as IDBRequest<unknown>));
  }

  /** Keep a chat, in place of an older one of its name. */
  async put(chat: Chat): Promise<void> {
    await done(this.store('readwrite').put(chat));
  }

  /** Forget a chat. */
  async remove(id: string): Promise<void> {
    await done(this.store('readwrite').delete(id));
  }

  private store(mode: IDBTransactionMode): IDBObjectStore {
    return this.database.transaction(STORE, mode).objectStore(STORE);
  }
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error('the database gave no reason'));
  });
}
