/** The version of every program: that of package.json, which a test checks. */
export const VERSION = '0.1.0';
