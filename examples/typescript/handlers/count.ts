/** Counts the words of its payload. */
export default function count(text: string): { words: number } {
  return { words: text.split(/\s+/).filter(Boolean).length };
}
