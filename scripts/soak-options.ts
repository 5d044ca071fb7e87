// Texts of the command line of the soaks: what is no number there is told in one line, and the program ends with 2. A count
// that became NaN would be a proof without a single fault.
import { MoldauError } from '../protocol/failure.ts'

export function countFrom(name: string, text: string): number {
  const value = text.trim() === '' ? Number.NaN : Number(text)
  if (Number.isSafeInteger(value) && value >= 1) return value
  throw new MoldauError('ERR_CONFIG', `--${name} must be a whole number of at least 1, not '${text}'`)
}

/** What the command line asks for; whoever wrote it wrong gets one line. */
export function readOptions<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    const { code, message } = error as { code?: unknown; message?: string }
    if (code !== 'ERR_CONFIG' && !String(code).startsWith('ERR_PARSE_ARGS')) throw error
    process.stderr.write(`${message}\n`)
    process.exit(2)
  }
}
