/** The page's program: shows the API's answers, and sends it the reader's requests. The contents of tasks are shown as text only. */

import { render } from 'preact';

import { App } from './app.tsx';

const place = document.getElementById('app');
if (place) {
  place.replaceChildren();
  render(<App />, place);
}
