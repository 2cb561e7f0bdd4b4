/** Checks the text of an audit log, as `baton audit verify` does. */

import { AuditChecker } from '../../src/core/host/audit.ts';

export function checkAudit(log: string) {
  const checker = new AuditChecker();
  for (const line of log.split('\n').slice(0, log.endsWith('\n') ? -1 : undefined)) {
    const error = checker.next(line);
    if (error !== undefined) return { ok: false, line: checker.lines, error };
  }
  const { lines, hash, begins, losses } = checker;
  return { ok: true, lines, hash, begins, losses };
}
