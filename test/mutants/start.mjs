/** Starts run.ts, which Node does not read by itself. */

import { runnerImport } from 'vite';

const { module } = await runnerImport(new URL('./run.ts', import.meta.url).pathname);
process.exitCode = await module.main(process.argv.slice(2));
