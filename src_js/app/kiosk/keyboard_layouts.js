/**
 * The letters of the touch keyboard by language, as rows of keys; what a key does is keyboard.js's, how it looks keyboard_view.js's.
 */

/** @typedef {"en"|"de"|"ar"} Language */
/** @typedef {{ letters: string[], shifted: string[] | null }} Layout rows from the top, a key for every character; shifted: null where there is no case */

/** @type {Record<Language, Layout>} */
export const LAYOUTS = {
  en: {
    letters: ["1234567890", "qwertyuiop", "asdfghjkl'", "zxcvbnm,.-"],
    shifted: ["1234567890", "QWERTYUIOP", "ASDFGHJKL\"", "ZXCVBNM!?:"],
  },
  de: {
    letters: ["1234567890\u00df", "qwertzuiop\u00fc", "asdfghjkl\u00f6\u00e4", "yxcvbnm,.-"],
    shifted: ["1234567890\u1e9e", "QWERTZUIOP\u00dc", "ASDFGHJKL\u00d6\u00c4", "YXCVBNM!?:"],
  },
  ar: {
    letters: ["\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668\u0669\u0660", "\u0636\u0635\u062b\u0642\u0641\u063a\u0639\u0647\u062e\u062d\u062c",
      "\u0634\u0633\u064a\u0628\u0644\u0627\u062a\u0646\u0645\u0643\u0637", "\u0630\u0626\u0621\u0624\u0631\u0649\u0629\u0648\u0632\u0638\u062f"],
    // Not capitals: the letters with hamza and madda, the vowel points, and the signs.
    shifted: ["1234567890", "\u0623\u0625\u0622\u064e\u064f\u0650\u0652\u064b\u064c\u064d", "\u0651\u067e\u0686\u06a4\u06af\u0644\u0627\u060c\u061b\u061f!.",
      "\u00ab\u00bb()-:\u0640\"'\u2026"],
  },
};

/** Signs, the same for every language. */
export const SYMBOLS = ["1234567890", "!?.,:;'\"()", "-_/&+=%#@*", "\u20ac$\u00a3\u00b0\u2026\u2013\u201c\u201d\u00ab\u00bb"];
