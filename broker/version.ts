/** The version of this program, as in package.json (a test compares them; reading that file would cost time at each start). */
export const VERSION = '0.1.0'
