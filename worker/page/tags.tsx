/** Tags, written as text: `customer:acme region:eu`; neither keys nor values contain spaces. */

import { hrefOf } from './route.ts';

export type TagMap = Record<string, string>;

/** Each with its colon. */
export const tagTexts = (text: string): string[] => text.split(/\s+/).filter(Boolean);

export function tagsIn(text: string): TagMap {
  return Object.fromEntries(tagTexts(text).map((tag) => {
    const colon = tag.indexOf(':');
    return colon < 0 ? [tag, ''] : [tag.slice(0, colon), tag.slice(colon + 1)]; // the API reports what is wrong with it
  }));
}

export const tagText = (tags: TagMap): string => Object.entries(tags).map(([key, value]) => `${key}:${value}`).join(' ');

/** Each is a link to the tasks that have it. */
export function Tags({ of }: { of: TagMap }) {
  return <span class="tags">{Object.entries(of).map(([key, value]) => <a key={key} href={hrefOf('tasks', '', { tag: `${key}:${value}` })}>{key}:{value}</a>)}</span>;
}
