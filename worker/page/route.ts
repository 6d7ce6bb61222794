/** The page's address: which view, of what, and with which filters. So a link or a reload shows the same. */

import { useEffect, useState } from 'preact/hooks';

export interface Route {
  view: string;
  /** The id of the task or other object that is shown; else empty. */
  id: string;
  query: URLSearchParams;
}

export const FIRST_VIEW = 'overview';

/** Reads `#tasks?status=failed` and `#task/ID`. */
export function readRoute(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#/, '').split(/\?(.*)/s);
  const [view = '', id = ''] = path.split('/');
  return { view: view || FIRST_VIEW, id: decoded(id), query: new URLSearchParams(query) };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Empty parameters are left out. */
export function hrefOf(view: string, id = '', query: Record<string, string | null | undefined> = {}): string {
  const given = Object.entries(query).flatMap(([name, value]) => (value ? [[name, value]] : []));
  return `#${view}${id && `/${encodeURIComponent(id)}`}${given.length > 0 ? `?${new URLSearchParams(given)}` : ''}`;
}

export function taskHref(taskId: string): string {
  return hrefOf('task', taskId);
}

export function go(href: string): void {
  location.hash = href;
}

export function useRoute(): Route {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const update = () => setHash(location.hash);
    addEventListener('hashchange', update);
    update();
    return () => removeEventListener('hashchange', update);
  }, []);
  return readRoute(hash);
}
