/** A party of the benches for QuickJS, with MQTT: `main-bench SOCKET`. */

import './globals.ts';
import '../../src/wire/codec.ts';
import './mqtt-globals.ts';
import { runParty } from '../../test/bench/party.ts';
import { plainWords } from '../node/program.ts';
import { watchRejections } from './guard.ts';
import { PROCESS } from './node/process.ts';

watchRejections();
const FACE = { name: 'main-bench', help: 'main-bench SOCKET\n\nA party of the benches, on QuickJS.\n' };
runParty(plainWords(FACE, PROCESS.argv.slice(2), 1)[0]!);
