/** An import that ends in `.txt` is the text of the file without that ending: `./page.js.txt` is that of `page.js`. */
declare module '*.txt' {
  const text: string;
  export default text;
}
