/**
 * Lets this package's modules find npm packages in the user's cache: for `node --import`, with the folder in CLOUDFLARE_LOCAL_NODE_PACKAGES. Modules
 * in that folder find theirs as usual.
 */

import { registerHooks } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const PACKAGE = new URL('../', import.meta.url).href;
const FROM = pathToFileURL(join(process.env.CLOUDFLARE_LOCAL_NODE_PACKAGES ?? '.', 'package.json')).href;

registerHooks({
  resolve(specifier, context, nextResolve) {
    const bare = !/^(\.|\/|node:|file:|data:)/.test(specifier);
    const ours = context.parentURL?.startsWith(PACKAGE) ?? false;
    return nextResolve(specifier, bare && ours ? { ...context, parentURL: FROM } : context);
  },
});
