/** A party of the benches for QuickJS, with MQTT: `main-bench SOCKET`. */

import '../../quickjs/globals.ts';
import '../../../src/core/wire/codec.ts';
import '../../quickjs/mqtt-globals.ts';
import { plainWords } from '../../node/program/program.ts';
import { watchRejections } from '../../quickjs/guard.ts';
import { PROCESS } from '../../quickjs/node/process.ts';
import { runParty } from './party.ts';

watchRejections();
const FACE = { name: 'main-bench', help: 'main-bench SOCKET\n\nA party of the benches, on QuickJS.\n' };
runParty(plainWords(FACE, PROCESS.argv.slice(2), 1)[0]!);
