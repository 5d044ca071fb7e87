// Operational failures: what can go wrong in a sound program (a full disk, a bad checksum, a malformed frame).
// Thrown in the shells, mapped to a protocol error code in one place (broker/net/dispatch.ts). Outcomes that the
// protocol has a code for are values, never thrown; bugs are asserts.

/** Every operational failure of this program: code -> what it means. */
export const FAILURES = {
  ERR_MALFORMED: 'bytes that do not follow the wire format',
  ERR_UNSUPPORTED_VERSION: 'an API or a version that this broker does not speak',
  ERR_CORRUPT_BATCH: 'a record batch whose checksum or structure is wrong',
  ERR_INVALID_RECORD: 'a record that the rules of its topic refuse',
  ERR_TOO_LARGE: 'more bytes than the limit allows, after decompression too',
  ERR_COMPRESSION: 'compressed data that does not decompress, or a codec that is not there',
  ERR_STORAGE: 'a read, write, sync or rename that the operating system refused',
  ERR_NO_SPACE: 'the disk is full, or below its reserve',
  ERR_LOG_CORRUPT: 'a bad batch below the recorded synced end of a log',
  ERR_LOG_OFFLINE: 'a partition whose log went offline after a failed write or sync',
  ERR_OUT_OF_RANGE: 'an offset outside of the log',
  ERR_LOCKED: 'the data directory is in use by another process',
  ERR_WRONG_DIRECTORY: 'the data directory belongs to another cluster or node, or to a later version',
  ERR_CONFIG: 'a setting that cannot be used',
  ERR_LISTEN: 'an address that cannot be listened on',
  ERR_NOT_LEADER: 'leadership was lost before the records were committed',
  ERR_NOT_CONTROLLER: 'this node is not the active controller, or ceased to be',
  ERR_REFUSED: 'an address where nobody listens',
  ERR_DISCONNECTED: 'a connection that ended before the answer',
  ERR_TIMEOUT: 'no answer in time',
  ERR_CLOSED: 'the broker, the connection or the log is closing'
} as const

export type FailureCode = keyof typeof FAILURES

/** An operational failure. `code` is the identity, the message is one clear line for people. */
export class MoldauError extends Error {
  readonly code: FailureCode
  constructor(code: FailureCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'MoldauError'
    this.code = code
  }
}

/** True for what no sound program throws: neither a failure of ours nor one that the operating system has a code for.
 *  Node's own codes for mistakes of a program (ERR_ASSERTION, an ERR_OUT_OF_RANGE of its own) begin as ours do. */
export function isBug(error: unknown): boolean {
  if (isFailure(error)) return false
  const code = (error as { code?: unknown } | null | undefined)?.code
  return typeof code !== 'string' || code.startsWith('ERR_')
}

/** True for a failure of the given code (by identity of the code, so duplicated packages agree). */
export function isFailure(error: unknown, code?: FailureCode): error is MoldauError {
  if (!(error instanceof Error) || error.name !== 'MoldauError') return false
  return code === undefined || (error as MoldauError).code === code
}
