/** The same program with MQTT: with npm mqtt, and the modules of Node that it needs. */

import './globals.ts';
import '../../src/core/wire/codec.ts';
import './mqtt-globals.ts';
import './main.ts';
