/** The handlers of the deployment, for a selection. */

import { useEffect, useState } from 'preact/hooks';

import { api, type Handlers } from './api.ts';

/** The id of the list to which inputs of a handler's name refer. */
export const HANDLERS_LIST = 'handlers';

/** Empty until they are known. */
export function useHandlers(): Handlers {
  const [handlers, setHandlers] = useState<Handlers>({});
  useEffect(() => {
    let isOver = false;
    // Without the list a name has to be typed.
    api.handlers().then((found) => { if (!isOver) setHandlers(found); }, () => {});
    return () => { isOver = true; };
  }, []);
  return handlers;
}

export function HandlersList() {
  const handlers = useHandlers();
  return <datalist id={HANDLERS_LIST}>{Object.keys(handlers).map((name) => <option key={name} value={name} />)}</datalist>;
}
