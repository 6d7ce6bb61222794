/** The program of the page: shows what the API tells, and asks it for what the reader wants done. What a task holds is shown as text only. */

import { render } from 'preact';

import { App } from './app.tsx';

const place = document.getElementById('app');
if (place) {
  place.replaceChildren();
  render(<App />, place);
}
