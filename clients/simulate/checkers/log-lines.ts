// What a broker's log may not say, whatever struck: a bug in a handler is answered with an error code and in a loop it is
// tried again, so that clients and other brokers notice little of it.
import type { LogLine } from '../node.ts'
import { Violation } from './violation.ts'

/** Said where nothing of that kind was foreseen. What a disk that fails does to them is foreseen. */
const UNFORESEEN = new Set([
  'request-failed',
  'metadata-change-failed',
  'metadata-snapshot-failed',
  'metadata-quorum-failed',
  'groups could not be loaded',
  'accept-failed'
])
/** Codes of failures that come from a disk. */
export const OF_DISKS: ReadonlySet<string> = new Set([
  'ERR_STORAGE',
  'ERR_NO_SPACE',
  'ERR_LOG_CORRUPT',
  'ERR_LOG_OFFLINE'
])

/** Null where nothing is wrong with it. Only of a bug the log tells the stack. */
export function wrongIn(line: LogLine): Violation | null {
  for (const error of [line.fields.err, line.fields.error]) {
    const { code = '', message, stack } = errorIn(error)
    if (stack !== undefined) return wrong(line, stack)
    if (UNFORESEEN.has(line.msg) && message !== undefined && !OF_DISKS.has(code))
      return wrong(line, `${code}: ${message}`)
  }
  return null
}

function wrong({ nodeId, msg, fields }: LogLine, what: string): Violation {
  const { err: _, error: __, ...rest } = fields
  return new Violation('healthy-broker', `node ${nodeId} says ${msg} ${JSON.stringify(rest)}: ${what}`)
}

function errorIn(error: unknown): { readonly code?: string; readonly message?: string; readonly stack?: string } {
  return typeof error === 'object' && error !== null ? error : {}
}
