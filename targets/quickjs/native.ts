/** The native module with its types. */

import * as baton from 'qjs:baton';
import type { NativeCore } from '../native/core.ts';
import type { NativeSystem } from '../native/system.ts';

export const NATIVE: NativeCore & NativeSystem = baton;
