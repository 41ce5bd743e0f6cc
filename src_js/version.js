/**
 * Kleinbild's version as pictures and pages tell it. A test holds it equal to the packager's.
 */

export const VERSION = "0.1.0";
