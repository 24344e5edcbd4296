/**
 * One poller for all panels of the page: those that subscribe to the same URL share its answers.
 * A view is fetched every 230 ms while the last one was busy, else every second.
 */

const BUSY = 230; // just over four updates a second, with the time an answer takes
const IDLE = 1000;
const LONGEST_WAIT = 3000; // after errors
const HURRY = 3000; // how long a command keeps the poller quick, ms
const PATIENCE = 10_000; // an answer later than this counts as lost
const SHORTEST = 30;

const feeds = new Map();
let hurryUntil = 0;

/**
 * Call `callback(view)` with every new view of `url`, and with {lost: true, error?} when there
 * is none: no server, or one that says why not. `look()` gives more query parameters; it is
 * asked before each request. Returns the function that ends the subscription.
 */
export function subscribe(url, callback, look = () => ({})) {
  const reader = { callback, look };
  const feed = feeds.get(url) ?? new Feed(url);
  feeds.set(url, feed);
  feed.readers.add(reader);
  if (feed.view) queueMicrotask(() => feed.readers.has(reader) && tell(reader, feed.view));
  feed.wake();
  return () => {
    feed.readers.delete(reader);
    if (feed.readers.size === 0) {
      feed.close();
      feeds.delete(url);
    }
  };
}

/** Ask at once, and often for the next seconds: something was just commanded. */
export function hurry() {
  hurryUntil = performance.now() + HURRY;
  wakeAll();
}

/** Ask at once. */
export function wakeAll() {
  for (const feed of feeds.values()) feed.wake();
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) wakeAll();
});

class Feed {
  constructor(url) {
    this.url = url;
    this.readers = new Set();
    this.view = null;
    this.tag = null;
    this.address = null; // of the newest request
    this.request = null; // the one under way
    this.errors = 0;
    this.timer = 0;
  }

  close() {
    clearTimeout(this.timer);
    this.request?.abort();
    this.request = null;
  }

  wake() {
    this.sleep(0);
  }

  sleep(milliseconds) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.poll(), milliseconds);
  }

  /** The URL with every reader's look. */
  addressNow() {
    const address = new URL(this.url, location.href);
    for (const reader of this.readers) {
      for (const [name, value] of Object.entries(reader.look())) {
        address.searchParams.set(name, value);
      }
    }
    return address.href;
  }

  async poll() {
    if (document.hidden || this.readers.size === 0) return;
    const address = this.addressNow();
    if (this.request && address === this.address) return;
    this.request?.abort(); // an answer to an older address must not arrive late
    if (address !== this.address) this.tag = null;
    const request = new AbortController();
    Object.assign(this, { address, request });
    const began = performance.now();
    const view = await this.ask(address, request);
    if (this.request !== request) return;
    this.request = null;
    this.take(view);
    this.sleep(Math.max(SHORTEST, this.pause() - (performance.now() - began)));
  }

  /** The new view, null if nothing is new, or {lost: true}. */
  async ask(address, request) {
    const limit = setTimeout(() => request.abort(), PATIENCE);
    try {
      const headers = this.tag ? { "If-None-Match": this.tag } : {};
      const answer = await fetch(address, { headers, cache: "no-store", signal: request.signal });
      if (answer.status === 304) return null;
      const view = await answer.json();
      if (!answer.ok) return { lost: true, error: view.error };
      if (this.request === request) this.tag = answer.headers.get("ETag");
      return view;
    } catch {
      return { lost: true }; // no connection, or half an answer: both are retried
    } finally {
      clearTimeout(limit);
    }
  }

  take(view) {
    if (view?.lost) {
      this.errors += 1;
      this.tag = null; // so that the first answer afterwards ends the lost state
    } else {
      this.errors = 0;
      if (view) this.view = view;
    }
    if (view) for (const reader of [...this.readers]) tell(reader, view);
  }

  pause() {
    if (this.errors > 0) return Math.min(LONGEST_WAIT, BUSY * 2 ** (this.errors - 1));
    return this.view?.busy || performance.now() < hurryUntil ? BUSY : IDLE;
  }
}

/** One panel that fails must not stop the others. */
function tell(reader, view) {
  try {
    reader.callback(view);
  } catch (error) {
    reportError(error);
  }
}
