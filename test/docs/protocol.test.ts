/**
 * The generated parts of docs/PROTOCOL.md are what the code says; `-u` writes them anew. The formatter lays tables
 * out, so layout does not count here.
 */

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { BORROWER_TABLE } from '../../src/core/agent/borrower.ts';
import { OWNER_TABLE } from '../../src/core/agent/owner.ts';
import { HOST_TABLE } from '../../src/core/host/host-table.ts';
import {
  DECLINE_REASONS,
  EVIDENCE_LEVELS,
  MOVE_CAUSES,
  PHASES,
  QUARANTINE_CAUSES,
  REFUSAL_CODES,
  type RefusalCode,
  retryAfter,
} from '../../src/core/protocol/codes.ts';
import { CONSENT_FIELDS, MESSAGES } from '../../src/core/protocol/messages.ts';
import {
  renderCodes,
  renderDiagram,
  renderFields,
  renderMessages,
  renderNames,
  renderRows,
  renderStates,
  renderTimers,
  replaceGenerated,
} from '../../src/core/protocol/render.ts';
import { BORROWER_TIMERS, HOST_TIMERS, HOST_TIMES, OWNER_TIMERS } from '../../src/core/protocol/timers.ts';
import { HANDSHAKE_MESSAGES, SESSION_CONTROL } from '../../src/core/wire/handshake.ts';
import { commentsOf } from './comments.ts';

const DOCUMENT = '../../docs/PROTOCOL.md';
const source = (name: string) => new URL(`../../src/core/${name}`, import.meta.url);
const timers = (constant: string) => commentsOf(source('protocol/timers.ts'), constant);

const PARTS = {
  messages: renderMessages(MESSAGES),
  handshake: renderMessages({ ...HANDSHAKE_MESSAGES, ...SESSION_CONTROL }),
  consent: renderFields(CONSENT_FIELDS).replaceAll('; ', ';\n'),
  evidence: renderNames(EVIDENCE_LEVELS),
  phases: renderNames(PHASES),
  'decline-reasons': renderCodes(DECLINE_REASONS),
  'refusal-codes': renderCodes(REFUSAL_CODES),
  'move-causes': renderCodes(MOVE_CAUSES),
  'quarantine-causes': renderCodes(QUARANTINE_CAUSES),
  'owner-timers': renderTimers(OWNER_TIMERS, timers('OWNER_TIMERS')),
  'borrower-timers': renderTimers(BORROWER_TIMERS, timers('BORROWER_TIMERS')),
  'host-timers': renderTimers(HOST_TIMERS, timers('HOST_TIMERS')),
  'host-times': renderTimers(HOST_TIMES, timers('HOST_TIMES')),
  'owner-states': renderStates(OWNER_TABLE, commentsOf(source('agent/owner-state.ts'), 'OWNER_STATES')),
  'owner-diagram': renderDiagram(OWNER_TABLE),
  'owner-rows': renderRows(OWNER_TABLE),
  'borrower-states': renderStates(
    BORROWER_TABLE,
    commentsOf(source('agent/borrower-state.ts'), 'BORROWER_STATES'),
  ),
  'borrower-diagram': renderDiagram(BORROWER_TABLE),
  'borrower-rows': renderRows(BORROWER_TABLE),
  'host-diagram': renderDiagram(HOST_TABLE),
  'host-rows': renderRows(HOST_TABLE),
};

test('the generated parts of docs/PROTOCOL.md are what the code says', async () => {
  const committed = readFileSync(new URL(DOCUMENT, import.meta.url), 'utf8');
  const rendered = replaceGenerated(committed, PARTS);
  const isSame = withoutLayout(rendered) === withoutLayout(committed);
  await expect(isSame ? committed : rendered).toMatchFileSnapshot(DOCUMENT);
});

test('every part that can be rendered stands in the document', () => {
  const committed = readFileSync(new URL(DOCUMENT, import.meta.url), 'utf8');
  const named = [...committed.matchAll(/<!-- generated: ([a-z-]+) -->/g)].map(([, name]) => name!);
  expect(named.sort()).toEqual(Object.keys(PARTS).sort());
});

test('the refusals after which asking again is useless are those that the document lists', () => {
  const committed = readFileSync(new URL(DOCUMENT, import.meta.url), 'utf8');
  const [, list = ''] = /asking again is useless: after\n([^.]*)\./.exec(committed) ?? [];
  const useless = Object.keys(REFUSAL_CODES).filter((code) => retryAfter(code as RefusalCode) === 0);
  expect([...list.matchAll(/`(\w+)`/g)].map(([, code]) => code)).toEqual(useless);
});

test('every timer and every state has its sentence', () => {
  const dumb = Object.entries(PARTS).filter(
    ([, part]) => part.includes('|  |\n') && !part.startsWith('| row'),
  );
  expect(dumb.map(([name]) => name)).toEqual([]);
});

function withoutLayout(text: string): string {
  return text.replace(/-{3,}/g, '---').replace(/[*_]/g, '').replace(/\s+/g, ' ');
}
