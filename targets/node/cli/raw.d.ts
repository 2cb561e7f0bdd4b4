/** The text of a file, in the program: rollup and vitest both make it of an import that ends in `?raw`. */
declare module '*?raw' {
  const text: string;
  export default text;
}
