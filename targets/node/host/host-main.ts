import { runHost } from './host.ts';

runHost(process.argv.slice(2));
