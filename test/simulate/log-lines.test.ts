// What a broker's log tells is read for bugs: with the real logger, and real bugs, some of which have codes.
import assert from 'node:assert/strict'
import { test } from 'tap'
import { createLogger } from '../../broker/log.ts'
import { wrongIn } from '../../clients/simulate/checkers/log-lines.ts'
import { MoldauError } from '../../protocol/failure.ts'

test('what a log may not say', t => {
  const wrong = (error: unknown, msg: string, field = 'err'): string | undefined => {
    let found: string | undefined
    const write = (text: string): void => {
      const { level, msg, time: _, ...fields } = JSON.parse(text) as Record<string, unknown>
      found = wrongIn({ atMs: 0, nodeId: 1, level: String(level), msg: String(msg), fields })?.message
    }
    createLogger({ level: 'info', to: { write } }).warn({ [field]: error }, msg)
    return found
  }
  const thrownBy = (run: () => unknown): unknown => {
    try {
      return run()
    } catch (error) {
      return error
    }
  }
  const bugs = [
    thrownBy(() => assert(false, 'so it is')),
    thrownBy(() => (null as unknown as { x: number }).x),
    // Has a code, which is one of ours too.
    thrownBy(() => Buffer.alloc(2).readInt32BE(0)),
    thrownBy(() => Buffer.alloc(8).readInt32BE(6))
  ]
  for (const bug of bugs) {
    t.match(wrong(bug, 'replica-fetch-failing'), /^healthy-broker: node 1 says replica-fetch-failing .*\n +at /s)
    t.match(wrong(bug, 'stop-failed', 'error'), /^healthy-broker: /)
  }
  t.equal(wrong(new MoldauError('ERR_TIMEOUT', 'late'), 'replica-fetch-failing'), undefined, 'as it may be')
  t.equal(wrong(Object.assign(new Error('read'), { code: 'ECONNRESET' }), 'replica-fetch-failing'), undefined)
  t.match(wrong(new MoldauError('ERR_TIMEOUT', 'late'), 'request-failed'), /request-failed .*ERR_TIMEOUT: late/)
  t.equal(wrong(new MoldauError('ERR_NO_SPACE', 'full'), 'metadata-snapshot-failed'), undefined, 'a disk may fail')
  t.end()
})
