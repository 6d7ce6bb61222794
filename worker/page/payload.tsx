/** The input of a task: its payload and its parameters. */

import { useEffect, useState } from 'preact/hooks';

import { api } from './api.ts';
import { Facts, Loading, LongText, prettyJson } from './parts.tsx';

/** How many bytes of a payload that is not text are shown. */
const SHOWN_BYTES = 1_024;
const BYTES_A_LINE = 16;

interface Submission {
  payload: string;
  parameters: Record<string, string>;
}

export function PayloadText({ taskId }: { taskId: string }) {
  const [told, setTold] = useState<Submission | null>(null);
  useEffect(() => {
    let isOver = false;
    void submissionOf(taskId).then((submission) => { if (!isOver) setTold(submission); });
    return () => { isOver = true; };
  }, [taskId]);
  if (!told) return <Loading />;
  return (
    <>
      {Object.keys(told.parameters).length > 0 && <Facts of={told.parameters} />}
      <LongText label="Payload" text={told.payload} />
    </>
  );
}

async function submissionOf(taskId: string): Promise<Submission> {
  const [payload, parameters] = await Promise.all([
    api.payload(taskId).then(payloadText, (error: Error) => error.message),
    api.parameters(taskId).then((told) => told.parameters, (error: Error) => ({ Parameters: error.message })),
  ]);
  return { payload, parameters };
}

/** JSON is indented, other text is unchanged, other bytes are in hexadecimal. */
export function payloadText(bytes: Uint8Array): string {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return hexadecimal(bytes);
  }
  try {
    return prettyJson(JSON.parse(text));
  } catch {
    return text;
  }
}

function hexadecimal(bytes: Uint8Array): string {
  const lines: string[] = [];
  for (let start = 0; start < Math.min(bytes.length, SHOWN_BYTES); start += BYTES_A_LINE) {
    const line = [...bytes.subarray(start, start + BYTES_A_LINE)];
    lines.push(line.map((byte) => byte.toString(16).padStart(2, '0')).join(' '));
  }
  const rest = bytes.length > SHOWN_BYTES ? `\n… ${bytes.length - SHOWN_BYTES} bytes more` : '';
  return `${bytes.length} bytes that are no text:\n${lines.join('\n')}${rest}`;
}
