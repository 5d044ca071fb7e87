// The tail cache keeps no more memory alive than it counts: neither what was evicted nor what was truncated away.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { test } from 'tap'
import { LogTail, TailCache } from '../../storage/tail-cache.ts'

const KIB = 1024

function collector(): () => void {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as () => void
}

/** Appends buffers of 64 KiB and gives weak references to their memory. */
function fill(tail: LogTail, from: number, count: number): WeakRef<ArrayBufferLike>[] {
  return Array.from({ length: count }, (_, index) => {
    const buffer = Buffer.allocUnsafeSlow(64 * KIB)
    tail.append(buffer, from + index, from + index)
    return new WeakRef(buffer.buffer)
  })
}

/** References are cleared after the job that made them, so a turn lies between. */
async function alive(references: readonly WeakRef<ArrayBufferLike>[]): Promise<number> {
  const gc = collector()
  for (let turn = 0; turn < 3; turn++) {
    await new Promise(setImmediate)
    gc()
  }
  return references.filter(each => each.deref() !== undefined).length
}

test('what was evicted is not kept alive', async t => {
  const cache = new TailCache(10 * 64 * KIB)
  const tail = new LogTail(cache)
  const references = fill(tail, 0, 100)
  t.ok(cache.sizeInBytes <= 10 * 64 * KIB)
  t.ok((await alive(references)) <= 11, 'ten, and perhaps the one on the stack')
  t.equal(tail.read(95, { maxBytes: 1e9, upto: 100, minOneMessage: true })?.records.length, 5)
  t.equal(tail.read(50, { maxBytes: 1e9, upto: 100, minOneMessage: true }), null)
})

test('what was truncated away, or belongs to a log that is gone, is not kept alive', async t => {
  const cache = new TailCache(1000 * 64 * KIB)
  const [gone, cut] = [new LogTail(cache), new LogTail(cache)]
  const references = [...fill(gone, 0, 50), ...fill(cut, 0, 50)]
  gone.clear()
  cut.truncateTo(10)
  t.equal(cache.sizeInBytes, 10 * 64 * KIB)
  t.ok((await alive(references)) <= 11)
})

test('a small batch does not hold its large frame', async t => {
  const cache = new TailCache(1000 * KIB)
  const tail = new LogTail(cache)
  const frame = Buffer.allocUnsafeSlow(256 * KIB)
  frame.write('batch', 1000)
  tail.append(frame.subarray(1000, 1200), 0, 0)
  t.ok(cache.sizeInBytes <= 64 * KIB)
  const [copy] = tail.read(0, { maxBytes: 1000, upto: 1, minOneMessage: true })?.records ?? []
  t.equal(copy?.toString('latin1', 0, 5), 'batch')
})
