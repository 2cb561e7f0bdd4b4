/** The version that every program says of itself: that of package.json, as a test checks. */
export const VERSION = '0.1.0';
