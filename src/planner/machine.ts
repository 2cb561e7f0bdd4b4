/**
 * Nodes that serve, watch or stop the whole machine and therefore never belong to one VM. Pure.
 *
 * Decided first by what a node provides, then by its binding and its name. In doubt a node counts as the machine's: the
 * wrong answer then costs a look into a manual, while the opposite error costs isolation.
 */

import { isMemory } from './access.ts';
import type { DtNode } from './blob.ts';
import { pattern } from './pattern.ts';
import { isIommu } from './streams.ts';
import { isEnabled, nodesBelow, ofNode, type Tree, textOf, textsOf } from './tree.ts';

/**
 * Names of nodes that serve the whole machine: Devicetree Specification v0.4, 2.2.2, and other names used by boards.
 */
const NAMES = pattern(
  '^(memory-controller|cache-controller|system-cache-controller|timer|rktimer|watchdog|wdt|',
  'wdog|wdtimer|pmu|dfi|cpufreq|syscon|sysreg|system-controller|interrupt-controller|',
  'msi-controller|clock-controller|reset-controller|power-controller|power-management|',
  'clock|restart|reboot|poweroff|qos|efuse|qfprom|ocotp|otp|fuse|pinctrl|pinmux|',
  'pinmux-controller|pin-controller|pinconf|iomuxc|pmic|access-controller|firewall|scu|',
  'cpu-map|opp-table)(@|$)',
);
/**
 * Bindings of such nodes: pin controllers, memory controllers, PMICs, system and power controllers, firewalls.
 * Families, since each SoC has its own prefix.
 */
const BINDINGS: readonly (readonly [RegExp, string])[] = [
  [
    /(^|[,-])(pinctrl|pinmux|pinconf|padconf|iomuxc|pincontrol|pin-controller|tlmm|pfc)(-|$)|^pinctrl-/,
    'it decides which device each pin of the SoC is for',
  ],
  [
    pattern(
      String.raw`(^|[,-])(ddrc|ddr|dmc|emc|mmdc|lpddr\d*|ddr-controller|memory-controller|edac|drac|sdrc|`,
      'ddrphy|umc|emif|smi-(common|larb))(-|$)',
    ),
    'all memory of the machine goes through it',
  ],
  [
    /(^|[,-])(scu|pmu|pmureg|sysreg|syscfg|grf|gpr|aoss-qmp|scmi|scpi|sci|rpmh-rsc|rpm|smem|cpufreq-\w+)(-|$)/,
    'it controls the whole SoC',
  ],
  [
    /(^|[,-])(etzpc|rifsc|rif|csu|tzasc|tzpc|tzc-?\d*|firewall|trdc|rdc|xrdc|sysc-fw|l4-fw)(-|$)/,
    'it decides who may reach what',
  ],
  [/(^|[,-])(wdt|wdog|watchdog)(-|$|\d)|^arm,sp805$/, 'it restarts the machine'],
  [/(^|[,-])(pmbus|spmi-pmic-arb|pmic|regulator)(-|$)/, 'it supplies the machine'],
  [
    /^arm,(cci|ccn|cmn|coresight)|(^|[,-])(noc|fabric|axi2apb|cbb|dfi|llcc|l2c|l3c|ppmu|bwmon|gte)(-|$)/,
    'traffic of every processor goes through it, or is watched by it',
  ],
];

/** Properties of services for processors and devices of any VM: votes, locks, wake-up, access control. */
const SERVICES: readonly string[] = [
  '#interconnect-cells',
  '#power-domain-cells',
  '#performance-domain-cells',
  '#hwlock-cells',
  '#mbox-cells',
  '#freq-domain-cells',
  '#access-controller-cells',
  '#reset-cells',
];
/** Trace units see what every processor does: Linux, Documentation/devicetree/bindings/arm/arm,coresight-*.yaml. */
const TRACE = /^arm,coresight-/;
/** Names of memory: reserved memory (also of firmware and hypervisor), and on-chip memory. */
const MEMORY = /^(memory|reserved-memory|sram|iram|ocram)(@|$)/;
/**
 * Properties of supplies that are on without a consumer: bindings/regulator/regulator.yaml, and
 * bindings/power/reset/*.yaml.
 */
const SUPPLIES: readonly string[] = ['regulator-always-on', 'regulator-boot-on'];

/** Returns why a node, or the whole that it is part of, belongs to the machine; undefined if it does not. */
export const machineWide = ofNode((node): string | undefined => {
  if (isMemory(node)) return 'it is memory, and no device';
  const names = textsOf(node, 'compatible');
  if (names.some((name) => TRACE.test(name)))
    return 'it traces what every processor does, whoever runs there';
  if (names.includes('syscon')) return 'drivers of other devices write its registers, too (syscon)';
  const service = SERVICES.find((property) => node.properties.has(property));
  if (service !== undefined) return `it serves whatever votes or waits at it (${service})`;
  if (node.properties.has('system-power-controller')) return 'it switches the machine off';
  if (node.properties.has('qcom,controlled-remotely'))
    return 'another processor runs it (qcom,controlled-remotely)';
  if (node.children.some((child) => isEnabled(child) && child.properties.has('gpio-hog')))
    return 'it holds lines for the board (gpio-hog)';
  const supply = suppliesMachine(node);
  if (supply !== undefined) return `it supplies the machine (${supply} is always on)`;
  for (const [pattern, what] of BINDINGS) {
    const found = names.find((name) => pattern.test(name));
    if (found !== undefined && !isIommu(node)) return `${what} (${found})`;
  }
  for (let at: DtNode | undefined = node; at !== undefined; at = at.parent) {
    if (MEMORY.test(at.name)) return 'it is memory, and no device';
    const [, name] = NAMES.exec(at.name) ?? [];
    if (name) return `a ${name} serves, watches or stops the whole machine, not one VM`;
  }
  return undefined;
});

/** Returns the first regulator of a node that is always on: its consumers are not in the tree. */
function suppliesMachine(node: DtNode): string | undefined {
  if (textOf(node, 'compatible') === undefined) return undefined;
  for (const part of nodesBelow(node))
    if (isEnabled(part) && SUPPLIES.some((property) => part.properties.has(property))) return part.name;
  return undefined;
}

/** Returns the console of the machine: `stdout-path` of `/chosen`, a path or alias with options after a colon. */
export function consoleOf(tree: Tree): DtNode | undefined {
  const chosen = tree.find('/chosen');
  const place = textOf(chosen, 'stdout-path') ?? textOf(chosen, 'linux,stdout-path');
  return place === undefined ? undefined : tree.find(place.split(':')[0]!);
}
