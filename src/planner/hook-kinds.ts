/**
 * Which kinds of hook steps fit a device, as far as its node shows; see docs/CONFIG.md. Pure.
 *
 * `runtime-pm` and `unbind` fit any device with a Linux driver; the others need attributes that only some drivers have.
 */

import type { DtNode } from './blob.ts';
import { missionOf } from './mission.ts';
import { textsOf } from './tree.ts';

/** Kinds of hook steps, best first: input is inhibited, displays are blanked, other devices suspended or unbound. */
export function hookKindsFor(node: DtNode): readonly string[] {
  const names = textsOf(node, 'compatible');
  if (names.length === 0) return [];
  const words = [node.name.split('@')[0], ...names].join(' ');
  const own: string[] = [];
  if (missionOf(node) === 'touch' || INPUT.test(words)) own.push('input-inhibit');
  if (/touch/.test(words) && names.some((name) => TRUSTED.test(name))) own.push('trusted-touch');
  if (missionOf(node) === 'display' || /simple-framebuffer/.test(words)) own.push('fb-blank');
  return [...own, 'runtime-pm', 'unbind'];
}

/** Devices whose drivers register an input device. */
const INPUT = /\b(keys?|keyboard|keypad|mouse|tablet|joystick|stylus|hid-over-i2c|gpio-keys)\b/;
/** Devices whose vendor drivers have trusted_touch_enable: FocalTech's and STMicroelectronics', in Qualcomm's trees. */
const TRUSTED = /^(focaltech|st),/;
