/** Tags: as text they are written `customer:acme region:eu`, for neither a key nor a value has a space in it. */

import { hrefOf } from './route.ts';

export type TagMap = Record<string, string>;

/** One by one, each with its colon. */
export const tagTexts = (text: string): string[] => text.split(/\s+/).filter(Boolean);

export function tagsIn(text: string): TagMap {
  return Object.fromEntries(tagTexts(text).map((tag) => {
    const colon = tag.indexOf(':');
    return colon < 0 ? [tag, ''] : [tag.slice(0, colon), tag.slice(colon + 1)]; // the API says what is wrong with it
  }));
}

export const tagText = (tags: TagMap): string => Object.entries(tags).map(([key, value]) => `${key}:${value}`).join(' ');

/** Each leads to the tasks that have it. */
export function Tags({ of }: { of: TagMap }) {
  return <span class="tags">{Object.entries(of).map(([key, value]) => <a key={key} href={hrefOf('tasks', '', { tag: `${key}:${value}` })}>{key}:{value}</a>)}</span>;
}
