/** An import with the ending `.txt` gives the text of the file whose name lacks the ending: `./page.css.txt` gives the text of `page.css`, and
 * `./page.tsx.txt` the program built for the browser. */
declare module '*.txt' {
  const text: string;
  export default text;
}

/** The parts of a deployment, see `components/bundle/bundle.js`. */
declare module 'task-runner:parts' {
  import type { Parts } from './task_runner.js';

  export const Store: Parts['Store'];
  export const Engine: Parts['Engine'];
  export const Consumer: Parts['Consumer'];
  export const sweep: Parts['sweep'];
  export const handlers: Parts['handlers'];
  export const Validator: Parts['Validator'];
}

/** The classes that Cloudflare looks for: `TaskObject` with Durable Objects, `TaskWorkflow` with workflows. */
declare module 'task-runner:classes';
