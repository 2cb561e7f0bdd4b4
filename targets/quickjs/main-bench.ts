/** A party of the benches for QuickJS, with MQTT: `main-bench SOCKET`. */

import './globals.ts';
import '../../src/wire/codec.ts';
import './mqtt-globals.ts';
import { runParty } from '../../test/bench/party.ts';
import { watchRejections } from './guard.ts';
import { PROCESS } from './node/process.ts';

watchRejections();
runParty(PROCESS.argv.at(-1)!);
