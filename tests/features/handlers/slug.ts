/** Makes a text fit for an address: a handler in TypeScript, with a package of npm. */

import slugify from 'slugify';

interface Slug {
  slug: string;
  length: number;
}

export default function slug(text: string): Slug {
  const made: string = slugify(text, { lower: true, strict: true });
  return { slug: made, length: made.length };
}
