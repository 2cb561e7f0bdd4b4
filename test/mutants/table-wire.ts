/** Bugs of what travels: sessions, frames, links, transports. */

import type { Mutant } from './sources.ts';

const SESSION = 'test/core/wire/session.test.ts';
const USE = 'test/core/wire/session-use.test.ts';
const GENERATIONS = 'test/core/wire/generations.test.ts';
const SMALL = 'test/core/wire/small.test.ts';
const FORGOTTEN = 'test/drivers/link/forgotten.test.ts';
const STREAM = 'test/edges/transport/stream.test.ts';
const MQTT = 'test/edges/transport/mqtt.test.ts';

export const WIRE_MUTANTS: readonly Mutant[] = [
  {
    name: 'frames of another machine verify',
    find: 'encodeCbor([ENVELOPE_VERSION, machine, from, to, channel])',
    replace: "encodeCbor([ENVELOPE_VERSION, 'machine', from, to, channel])",
    breaks: 'R104',
    caughtBy: [GENERATIONS, 'test/core/wire/vectors.test.ts'],
  },
  {
    name: 'only the newest key generation is tried',
    find: 'if (sent >= HELLOS_PER_GENERATION && other !== at) return this.greet(other, challenge);',
    replace: '',
    breaks: 'R103: no session with a peer that lacks the next key',
    caughtBy: GENERATIONS,
  },
  {
    name: 'a hello is answered in the newest generation',
    find: 'const frame = sealMac0(this.generations[at]!.sendKey, answer);',
    replace: 'const frame = sealMac0(this.generations[0]!.sendKey, answer);',
    breaks: 'R103',
    caughtBy: GENERATIONS,
  },
  {
    name: 'the newer party is told to be updated',
    find: 'ours.max < theirs.min ?',
    replace: 'ours.max > theirs.min ?',
    breaks: 'R108',
    caughtBy: 'test/drivers/link/versions.test.ts',
  },
  {
    name: 'a message is taken twice',
    find: 'if (((age < 32 ? this.low : this.high) & bit) !== 0) return false;',
    replace: '',
    breaks: 'R4: a replayed message acts again',
    caughtBy: SMALL,
  },
  {
    name: 'a message from before the window is taken',
    find: 'if (seq === 0 || age >= REPLAY_WINDOW) return false;',
    replace: 'if (seq === 0) return false;',
    breaks: 'R4',
    caughtBy: SMALL,
  },
  {
    name: 'numbers are reused when they run out',
    find: 'return this.next > UINT32_MAX ? undefined : this.next;',
    replace: 'return this.next > UINT32_MAX ? 1 : this.next;',
    breaks: 'R5',
    caughtBy: [SMALL, USE],
  },
  {
    name: 'a replayed hello tears the session down',
    find: 'this.answered = { session, frame };',
    replace: 'this.answered = { session, frame }; this.current = session;',
    breaks: 'R6',
    caughtBy: SESSION,
  },
  {
    name: 'an answer to another hello is taken',
    find: "if (hello?.at !== at || !equalBytes(answer.answered, hello.challenge)) return drop('stale');",
    replace: "if (hello?.at !== at) return drop('stale');",
    breaks: 'R10: freshness',
    caughtBy: SESSION,
  },
  {
    name: 'of crossing hellos both count',
    find: 'if (this.hello !== undefined && us < peer) return this.repeatOurs(this.hello, at, challenge);',
    replace: '',
    breaks: 'R7',
    caughtBy: SESSION,
  },
  {
    name: 'an agent says itself in which life it is',
    find: 'const theirIncarnation = us === HOST ? this.config.peerIncarnation : hello.incarnation;',
    replace: 'const theirIncarnation = hello.incarnation;',
    breaks: 'R8',
    caughtBy: SESSION,
  },
  {
    name: 'a timestamp token of an agent counts',
    find: 'if (hostTime !== undefined && this.config.peer !== HOST) {',
    replace: 'if (hostTime !== undefined && this.config.peer === this.config.us) {',
    breaks: 'R9',
    caughtBy: USE,
  },
  {
    name: 'a consent of an earlier boot opens',
    find: 'this.previousConsentKey = peerRestarted ? undefined : previous?.consentKey;',
    replace: 'this.previousConsentKey = previous?.consentKey;',
    breaks: 'M1',
    caughtBy: [SESSION, USE],
  },
  {
    name: 'a consent opens between agents',
    find: "consentKey: hasHost ? keyOf(agent, HOST, 'c') : undefined,",
    replace: "consentKey: keyOf(agent, HOST, 'c'),",
    breaks: 'S5: a consent is a word to the host',
    caughtBy: USE,
  },
  {
    name: 'both directions have one key',
    find: "receiveKey: keyOf(peer.id, us.id, 'm'),",
    replace: "receiveKey: keyOf(us.id, peer.id, 'm'),",
    breaks: 'R1: a message is reflected to its sender',
    caughtBy: SESSION,
  },
  {
    name: 'no version in common, and a session all the same',
    find: 'if (version < Math.max(versions.min, hello.versionMin)) return',
    replace: 'if (version < Math.min(versions.min, hello.versionMin)) return',
    breaks: 'R11',
    caughtBy: [USE, SESSION],
  },
  {
    name: 'a tag is compared in its first half',
    find: 'for (let index = 0; index < a.length; index++) difference |=',
    replace: 'for (let index = 0; index < a.length / 2; index++) difference |=',
    breaks: 'R1: forgeries pass',
    caughtBy: ['test/core/wire/cose.test.ts', SESSION],
  },
  {
    name: 'a frame that waited acts in the next run',
    find: 'if (this.#peers.get(id) !== peer) return;',
    replace: '',
    breaks: 'S4: a word of a VM that has ended',
    caughtBy: FORGOTTEN,
  },
  {
    name: 'a session with a VM that does not run',
    find: 'if (this.#party.us === HOST) return peerIncarnation === 0 ?',
    replace: 'if (this.#party.us === HOST) return peerIncarnation < 0 ?',
    breaks: 'M5',
    caughtBy: [FORGOTTEN, 'test/drivers/link/peers.test.ts'],
  },
  {
    name: 'a peer floods the link',
    find: 'if (queue.bytes + cost > this.#roomBytes) return false;',
    replace: '',
    breaks: 'S8',
    caughtBy: 'test/common/turns.test.ts',
  },
  {
    name: 'a guest sends under another name',
    find: 'if (route.from !== connection.vm) return this.#malformed(',
    replace: 'if (route.to === connection.vm) return this.#malformed(',
    breaks: 'R15',
    caughtBy: STREAM,
  },
  {
    name: 'an address of nobody takes a name that has its own',
    find: 'if (route.from === HOST || this.#placed.has(route.from)) {',
    replace: 'if (route.from === HOST) {',
    breaks: 'R15: a victim is cut off for good',
    caughtBy: STREAM,
  },
  {
    name: 'frames of a replaced connection count',
    find: 'return vm === undefined ? this.#nameless.has(connection) : this.#guests.get(vm) === connection;',
    replace: 'return vm === undefined ? this.#nameless.has(connection) : this.#guests.has(vm);',
    breaks: 'the newest connection of a VM counts',
    caughtBy: STREAM,
  },
  {
    name: 'one guest dials without end',
    find: 'if (point.vm !== undefined && !point.dials.take(1, nowMs)) {',
    replace: 'if (point.vm !== undefined && !point.dials.take(0, nowMs)) {',
    breaks: 'S8',
    caughtBy: STREAM,
  },
  {
    name: 'a stream that is no frames is read on',
    find: 'if (broken) this.#refuse(connection, BROKEN);',
    replace: 'if (broken) this.#malformed(connection, BROKEN);',
    breaks: 'R16',
    caughtBy: [STREAM, 'test/edges/transport/diagnoses.test.ts'],
  },
  {
    name: 'MQTT: what the broker kept is delivered',
    find: "const why = isRetained ? 'it is a retained message' : whyNot(",
    replace: 'const why = whyNot(',
    breaks: 'R14',
    caughtBy: MQTT,
  },
  {
    name: 'MQTT: a session is kept at the broker',
    find: 'clean: true,',
    replace: 'clean: false,',
    breaks: 'M6: frames of an earlier boot',
    caughtBy: [MQTT, 'test/edges/transport/compliance.test.ts'],
  },
  {
    name: 'MQTT: bytes without an end are kept',
    find: 'if (unreadBytes > UNREAD_BYTES_MAX) lose(',
    replace: 'if (unreadBytes > 1e12) lose(',
    breaks: 'S8',
    caughtBy: ['test/edges/transport/parts.test.ts', MQTT],
  },
];
