// The parts of a segment: indexes as Kafka writes them (golden), look-ups against a model, the tail cache and the open
// files within their bounds.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import fc from 'fast-check'
import { test } from 'tap'
import { fileName, parseFileName } from '../../storage/file-names.ts'
import { MemoryFiles } from '../../storage/files-memory.ts'
import { OffsetIndex } from '../../storage/offset-index.ts'
import { type OpenFile, OpenFiles } from '../../storage/open-files.ts'
import { LogTail, TailCache } from '../../storage/tail-cache.ts'
import { TimeIndex } from '../../storage/time-index.ts'
import { batchOf } from './log-fixture.ts'

interface Golden {
  file: string
  hex: string
  entries: { offset: number; position: number; timestamp: number }[]
}

const golden = fs
  .readFileSync('test/golden/indexes.jsonl', 'utf8')
  .trim()
  .split('\n')
  .map(line => JSON.parse(line) as Golden)
const goldenOf = (kind: string) => golden.find(({ file }) => file.endsWith(kind)) as Golden

function put(files: MemoryFiles, path: string, bytes: Buffer): void {
  const fd = files.open(path, 'create')
  files.ftruncate(fd, 0)
  files.writev(fd, [bytes], 0)
  files.close(fd)
}

test('the offset index, byte for byte', async t => {
  const files = new MemoryFiles()
  const { hex, entries } = goldenOf('.index')
  const index = new OffsetIndex(files, '/i', 1000)
  index.reset()
  for (const { offset, position } of entries) index.append(offset, position)
  index.write()
  t.notOk(index.isDurable)
  await index.sync()
  t.ok(index.isDurable)
  t.equal(files.readFileSync('/i')?.toString('hex'), hex)
  const read = new OffsetIndex(files, '/i', 1000)
  // The first entry of the golden file is all zeros, as Kafka's preallocated tail is: it names what is found without it.
  t.equal(read.positionBefore(1000), 0)
  t.equal(read.positionBefore(999), 0)
})

test('the time index, byte for byte', async t => {
  const files = new MemoryFiles()
  const { hex, entries } = goldenOf('.timeindex')
  const index = new TimeIndex(files, '/t', 1000)
  index.reset()
  for (const { timestamp, offset } of entries) index.append(timestamp, offset)
  index.append(1, 5000)
  index.write()
  t.equal(files.readFileSync('/t')?.toString('hex'), hex)
  const read = new TimeIndex(files, '/t', 1000)
  t.same(
    entries.map((_, at) => read.entry(at)),
    entries
  )
  t.same(read.last(), entries.at(-1))
  t.equal(read.offsetBefore(1700000000049), 1003)
  t.equal(read.offsetBefore(1700000000050), 1199)
  t.equal(read.offsetBefore(0), 1000)
})

test('zeros behind the entries are cut, anything else there makes the index broken', async t => {
  const files = new MemoryFiles()
  const entries = Buffer.from('0000000400001004000000c800002328', 'hex')
  put(files, '/i', Buffer.concat([entries, Buffer.alloc(4000)]))
  const padded = new OffsetIndex(files, '/i', 1000)
  t.equal(padded.count, 2)
  t.notOk(padded.isBroken)
  padded.append(2000, 100_000)
  padded.write()
  t.equal(files.sizeOf('/i'), 24)
  put(files, '/i', Buffer.concat([entries, entries]))
  const repeated = new OffsetIndex(files, '/i', 1000)
  t.equal(repeated.count, 2)
  t.ok(repeated.isBroken, 'offsets must grow')
  put(files, '/i', entries.subarray(0, 12))
  t.ok(new OffsetIndex(files, '/i', 1000).count === 1)
})

test('an index that is not asked for holds no memory, and none is lost', async t => {
  const files = new MemoryFiles()
  const index = new OffsetIndex(files, '/i', 0)
  index.reset()
  for (let at = 1; at <= 100; at++) index.append(at * 10, at * 100)
  index.unload()
  t.ok(index.isLoaded, 'what the file does not have stays')
  index.write()
  index.unload()
  t.notOk(index.isLoaded)
  t.equal(index.positionBefore(505), 5000)
  index.truncateTo(500)
  t.equal(index.count, 49)
  index.append(500, 5001)
  index.write()
  index.unload()
  t.same(index.entry(49), { offset: 500, position: 5001 })
  t.equal(files.sizeOf('/i'), 400)
  t.notOk(index.canHold(2 ** 31))
  t.ok(index.canHold(2 ** 31 - 1))
})

test('look-ups in both indexes agree with a plain search', t => {
  const steps = fc.array(fc.tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 })), {
    maxLength: 80,
    size: 'max'
  })
  fc.assert(
    fc.property(steps, fc.integer({ min: 0, max: 500 }), fc.integer({ min: 0, max: 500 }), (deltas, asked, cut) => {
      const files = new MemoryFiles()
      const offsets = new OffsetIndex(files, '/i', 100)
      const times = new TimeIndex(files, '/t', 100)
      offsets.reset()
      times.reset()
      let model: { offset: number; position: number }[] = []
      let last = { offset: 100, position: 1 }
      for (const [byOffset, byPosition] of deltas) {
        last = { offset: last.offset + byOffset, position: last.position + byPosition }
        offsets.append(last.offset, last.position)
        times.append(last.position, last.offset)
        model.push(last)
      }
      const check = () => {
        assert.equal(
          offsets.positionBefore(100 + asked),
          model.findLast(each => each.offset <= 100 + asked)?.position ?? 0
        )
        assert.equal(times.offsetBefore(asked), model.findLast(each => each.position <= asked)?.offset ?? 100)
      }
      check()
      offsets.truncateTo(100 + cut)
      times.truncateTo(100 + cut)
      model = model.filter(each => each.offset < 100 + cut)
      assert.equal(offsets.count, model.length)
      assert.equal(times.count, model.length)
      check()
    }),
    { numRuns: 60 }
  )
  t.pass()
  t.end()
})

test('names of files', t => {
  t.equal(fileName(1000, 'timeindex'), '00000000000000001000.timeindex')
  t.same(parseFileName('00000000000000001000.log.swap'), { baseOffset: 1000, kind: 'log', stage: 'swap' })
  for (const name of [
    '1000.log',
    '00000000000000001000.log.bak',
    'x',
    '99999999999999999999.log',
    'partition.metadata'
  ]) {
    t.equal(parseFileName(name), null, name)
  }
  t.end()
})

const all = { maxBytes: 1e9, upto: 1e9, minOneMessage: true }

function fill(tail: LogTail, from: number, count: number, make: () => Buffer): void {
  for (let offset = from; offset < from + count; offset++) tail.append(make(), offset, offset)
}

test('the tail cache counts what lies behind its batches, and stays within its bound', t => {
  const cache = new TailCache(1_000_000)
  const tail = new LogTail(cache)
  const frame = Buffer.allocUnsafeSlow(500_000)
  tail.append(frame.subarray(0, 250_000), 0, 0)
  t.equal(cache.sizeInBytes, 500_000, 'the whole frame')
  tail.append(frame.subarray(250_000), 1, 1)
  t.equal(cache.sizeInBytes, 500_000, 'once')
  tail.append(Buffer.allocUnsafeSlow(600_000), 2, 2)
  t.equal(cache.sizeInBytes, 600_000)
  t.equal(tail.read(0, all), null)
  t.equal(tail.read(2, all)?.sizeInBytes, 600_000)
  tail.append(Buffer.allocUnsafeSlow(2_000_000), 3, 3)
  t.equal(cache.sizeInBytes, 0, 'larger than the cache: not kept')
  t.equal(tail.read(3, all), null)
  t.end()
})

test('small batches are copied out of large frames', t => {
  const cache = new TailCache(10_000_000)
  const tail = new LogTail(cache)
  fill(tail, 0, 100, () => Buffer.allocUnsafeSlow(1_000_000).fill(7).subarray(0, 1000))
  t.ok(cache.sizeInBytes <= 2 * 65536, String(cache.sizeInBytes))
  t.equal(tail.read(0, all)?.records.length, 100)
  t.ok(tail.read(50, all)?.records[0]?.every(byte => byte === 7))
  t.end()
})

test('the oldest batches of all logs go first, and a log keeps its end without a gap', t => {
  const cache = new TailCache(100_000)
  const tails = [new LogTail(cache), new LogTail(cache)] as const
  for (let offset = 0; offset < 3000; offset++) {
    const tail = tails[offset % 7 === 0 ? 1 : 0]
    tail.append(Buffer.allocUnsafeSlow(1000), Math.floor(offset / 1), offset)
  }
  t.ok(cache.sizeInBytes <= 100_000)
  t.equal(tails[0].read(2000, all), null)
  t.ok((tails[0].read(2990, all)?.records.length ?? 0) > 5)
  tails[0].truncateTo(2950)
  t.same(tails[0].read(2950, all)?.records, [])
  tails[0].append(Buffer.allocUnsafeSlow(1000), 2950, 2960)
  t.equal(tails[0].read(2955, all)?.endOffset, 2961)
  const before = cache.sizeInBytes
  tails[0].clear()
  tails[1].clear()
  t.ok(before > 0)
  t.equal(cache.sizeInBytes, 0, 'nothing is counted that is not held')
  fill(tails[1], 5000, 10, () => batchOf())
  t.equal(tails[1].read(5000, all)?.records.length, 10)
  t.end()
})

test('descriptors are closed in the order of their last use, never under a reader', async t => {
  const files = new MemoryFiles()
  const open = new OpenFiles(files, 2)
  const idle: string[] = []
  const file = (path: string): OpenFile => ({ path, fd: -1, pins: 0, onIdle: () => idle.push(path) })
  const [a, b, c, d] = [file('/a'), file('/b'), file('/c'), file('/d')]
  t.throws(() => open.use(a), { code: 'ERR_STORAGE' }, 'made by mistake it would look like an empty segment')
  open.create(a)
  open.create(b)
  open.use(a)
  open.create(c)
  t.same(idle, ['/b'])
  open.pin(a)
  open.pin(c)
  open.create(d)
  t.equal(open.count, 3, 'all in use: the limit is passed')
  open.unpin(a)
  t.equal(open.count, 2, 'until one is not')
  open.close(c)
  t.not(c.fd, -1, 'in use')
  open.unpin(c)
  t.equal(c.fd, -1)
  t.equal(files.openCount, open.count)
})
