/** Where the device trees of real boards are: data beside the repository (BATON_BOARDS, else ../shared/boards). */

import { join } from 'node:path';

export const BOARDS_FOLDER =
  process.env['BATON_BOARDS'] ?? join(import.meta.dirname, '../../../shared/boards');
