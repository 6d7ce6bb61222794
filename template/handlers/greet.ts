/** Greets who is named in the payload, {"name": "Ada"}. */

interface Payload {
  name: string;
}

/** What a payload must be, as a JSON Schema: others are refused when they are submitted. */
export const payload = {
  type: 'object',
  properties: { name: { type: 'string' } },
  required: ['name'],
};

export default function greet(text: string): { greeting: string } {
  const { name }: Payload = JSON.parse(text);
  return { greeting: `Hello, ${name}!` };
}
