/** The same program with MQTT: larger by the library, and what it needs of Node. */

import './globals.ts';
import '../../src/core/wire/codec.ts';
import './mqtt-globals.ts';
import './main.ts';
