// The arithmetic of the benchmark: quantiles, medians and ratios, sequences patched into bytes made before, answers that come in
// pieces, and what is read out of a profile. What is measured with it is nobody's assertion.
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { test } from 'tap'
import { encodeResponse } from '../../protocol/frame.ts'
import { fetch } from '../../protocol/messages/fetch.ts'
import { buildBatch } from '../../protocol/records/builder.ts'
import { FETCH_VERSION, recordBytesOf } from '../../scripts/bench/fetch.ts'
import { Histogram } from '../../scripts/bench/histogram.ts'
import { Pipe } from '../../scripts/bench/pipe.ts'
import { callsOf, selfTimes } from '../../scripts/bench/profile.ts'
import { jsonOf, markdownOf, notesOf, tableOf } from '../../scripts/bench/report.ts'
import { batchOf, placesOf, produceFrame, SequencePatch, Slot } from '../../scripts/bench/request.ts'
import { ALIASES, ROWS } from '../../scripts/bench/rows.ts'
import { figureOf, ratiosOf, summaryOf, verdictOf } from '../../scripts/bench/summary.ts'
import { turnMs, turnsIn } from '../../scripts/bench/turns.ts'
import type { Measured, Row } from '../../scripts/bench/workload.ts'

test('quantiles are within one percent of what was recorded, at any size', async t => {
  for (const scale of [0.001, 0.1, 3, 1000, 36_000]) {
    const histogram = new Histogram()
    for (let n = 1; n <= 1000; n++) histogram.record(n * scale)
    for (const quantile of [0.001, 0.5, 0.99, 0.999, 1]) {
      const right = quantile * 1000 * scale
      const off = Math.abs(histogram.at(quantile) - right)
      t.ok(off <= Math.max(right * 0.01, 0.001), `${quantile} of ${scale}: ${histogram.at(quantile)} for ${right}`)
    }
  }
  const few = new Histogram()
  t.ok(Number.isNaN(few.at(0.5)), 'nothing has no median')
  few.record(7)
  few.record(-1)
  t.equal(few.at(0), 0, 'a clock that goes back is no time at all')
  t.equal(few.quantiles().maxMs, 7)
  const sum = new Histogram()
  sum.record(100)
  sum.add(few)
  t.equal(sum.count, 3)
  t.equal(sum.at(1), 100)
  t.ok(Math.abs(sum.at(0.5) - 7) < 0.07)
})

test('a sequence is put into a batch without reading it again', async t => {
  const records = Array.from({ length: 5 }, (_, n) => ({ timestamp: 9, key: null, value: Buffer.from(`value ${n}`) }))
  const of = (baseSequence: number) => buildBatch({ records, producerId: 7, producerEpoch: 1, baseSequence })
  const batch = of(0)
  const patch = new SequencePatch(batch, records.length)
  const frame = produceFrame('topic', [0, 1, 2], -1, batch)
  const places = placesOf(frame, batch, 3)
  t.equal(new Set(places).size, 3)
  for (const sequence of [0, 1, 5, 0x12345678, 0x7ffffffd, 0x7fffffff, 3]) {
    const next = patch.put(frame, places[1] as number, sequence)
    const at = places[1] as number
    t.ok(frame.subarray(at, at + batch.length).equals(of(sequence)), `sequence ${sequence}`)
    t.equal(next, (sequence + records.length) % 2 ** 31, 'the next one follows, and begins again after 2^31 - 1')
  }
  for (const at of [places[0], places[2]] as number[]) {
    t.ok(frame.subarray(at, at + batch.length).equals(batch), 'the others are left alone')
  }
  t.throws(() => placesOf(frame, of(99), 1), /not in its frame/)
})

test('slots of a frame have correlation ids of their own, large or small', async t => {
  for (const recordBytes of [10, 10_000]) {
    const batch = batchOf({ recordBytes, recordsPerBatch: 1 })
    const frame = produceFrame('topic', [0], 1, batch)
    const [one, two] = [new Slot(), new Slot()]
    const [first, second] = [Buffer.concat(one.of(frame)), Buffer.concat(two.of(frame))]
    t.not(first.readInt32BE(8), second.readInt32BE(8))
    t.ok(first.subarray(12).equals(frame.subarray(12)))
    const answer = Buffer.alloc(4)
    answer.writeInt32BE(one.correlationId)
    one.check(answer)
    t.throws(() => two.check(answer), /answer \d+ to request/)
    const changed = Buffer.from(frame)
    const sent = two.of(changed)
    changed[changed.length - 1] = 77
    t.equal(
      Buffer.concat(recordBytes < 100 ? two.of(changed, true) : sent).at(-1),
      77,
      'what was patched is what leaves'
    )
  }
})

test('answers in pieces of any size come whole, in the order of the requests', async t => {
  const answers = ['', 'a', 'some more', 'x'.repeat(3000), 'y'.repeat(500), 'z'].map(each => Buffer.from(each))
  const wire = Buffer.concat(answers.flatMap(each => [sized(each.length), each]))
  for (const pieceBytes of [1, 3, 7, 1000, wire.length]) {
    const server = createServer({ noDelay: true }).listen(0, '127.0.0.1')
    const accepted = once(server, 'connection')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const pipe = await Pipe.open(`127.0.0.1:${port}`, 100)
    const [socket] = (await accepted) as [Socket]
    socket.on('error', () => {}).resume()
    const seen: string[] = []
    const told = (frame: Buffer, size: number) => `${size} ${frame.toString('latin1', 0, 100)}`
    for (const _ of answers) pipe.send([Buffer.from('?')], (frame, size) => seen.push(told(frame, size)))
    for (let at = 0; at < wire.length; at += pieceBytes) {
      socket.write(wire.subarray(at, at + pieceBytes))
      // So that no two pieces are received as one.
      while (pipe.receivedBytes < Math.min(wire.length, at + pieceBytes)) await new Promise(setImmediate)
    }
    t.same(
      seen,
      answers.map(each => told(each, each.length)),
      `pieces of ${pieceBytes}`
    )
    pipe.close()
    await new Promise(resolve => server.close(resolve))
  }
})

function sized(length: number): Buffer {
  const size = Buffer.alloc(4)
  size.writeInt32BE(length)
  return size
}

test('what a fetch gave is read at its place, aborted transactions or not', async t => {
  for (const abortedTransactions of [null, [], [{ producerId: 1, firstOffset: 2 }]]) {
    const partition = { partitionIndex: 0, abortedTransactions, records: Buffer.alloc(300) }
    const of = (more: object, top = {}) => {
      const responses = [{ topic: 'some-topic', partitions: [{ ...partition, ...more }] }]
      return Buffer.concat(encodeResponse(fetch, FETCH_VERSION, 5, { responses, ...top })).subarray(4)
    }
    t.equal(recordBytesOf(of({})), 300)
    t.equal(recordBytesOf(of({ records: Buffer.alloc(0) })), 0)
    t.throws(() => recordBytesOf(of({ errorCode: 6 })), /error 6/)
    t.throws(() => recordBytesOf(of({}, { errorCode: 70 })), /error 70/)
    t.throws(() => recordBytesOf(of({}, { responses: [] })), /not answered/)
  }
})

const round = (of: Partial<Measured>): Measured => ({
  ...{ seconds: 2, requests: 100, records: 1000, bytes: 1e6, wireBytes: 1.1e6, extra: {}, cpuSeconds: 1 },
  ...{ p50Ms: 1, p99Ms: 2, p999Ms: 3, maxMs: 4, loadCpuSeconds: 1, residentMegabytes: 50, peakMegabytes: 60 },
  ...{ writtenBytes: 1e6 },
  ...of
})

test('medians, spread, costs and ratios', async t => {
  t.same(figureOf([3, 1, 2]), { median: 2, min: 1, max: 3 })
  t.same(figureOf([4, 1]), { median: 2.5, min: 1, max: 4 })
  t.ok(Number.isNaN(figureOf([]).median))
  const ours = summaryOf([round({}), round({ records: 3000 }), round({ records: 2000, extra: { joinMs: 5 } })])
  t.same(ours.recordsPerSecond, { median: 1000, min: 500, max: 1500 })
  t.equal(ours.cpuMicrosPerRecord?.median, 500)
  t.equal(ours.cpuSecondsPerGigabyte?.median, 1000)
  t.equal(ours.cpuMicrosPerRequest?.median, 10_000)
  t.equal(ours.joinMs?.median, 5)
  t.notOk('p50Ms' in summaryOf([round({ p50Ms: Number.NaN })]), 'what was not measured is not told')
  const theirs = summaryOf([round({ records: 500, cpuSeconds: 4, p99Ms: 1 })])
  const ratios = ratiosOf(ours, theirs)
  t.equal(ratios.recordsPerSecond, 4)
  t.equal(ratios.cpuSecondsPerGigabyte, 0.25)
  t.equal(ratios.p99Ms, 2)

  const row = { unit: 'records', goal: { label: 'x', atLeast: { rate: 4 }, atMost: { cpu: 0.25 } } } as const
  t.same(verdictOf(row, ratios), { isMet: true, limits: ['rate >= 4x', 'cpu <= 0.25x'] })
  t.equal(verdictOf({ ...row, goal: { label: 'x', atLeast: { rate: 4.01 } } }, ratios)?.isMet, false)
  t.equal(verdictOf({ ...row, goal: { label: 'x', atMost: { p99: 1.9 } } }, ratios)?.isMet, false)
  t.equal(verdictOf({ ...row, goal: { label: 'x', within: { joinMs: 5 } } }, {}, ours)?.isMet, true)
  t.equal(verdictOf({ ...row, goal: { label: 'x', within: { joinMs: 4 } } }, {}, ours)?.isMet, false)
  t.equal(verdictOf(row, {}), null, 'nothing to compare with is no verdict')
  t.equal(
    verdictOf({ ...row, goal: { label: 'x', atLeast: { rate: 4 }, atMost: { p50: 1 } } }, { recordsPerSecond: 5 })
      ?.isMet,
    false,
    'half of a goal is none'
  )

  const whole: Row = { ...row, name: 'some', group: 'g', what: 'w', durability: 'default' }
  const results = [
    {
      row: whole,
      figures: new Map([
        ['moldau', ours],
        ['kafka', theirs],
        ['floor: take', theirs]
      ]),
      notes: ['short']
    }
  ]
  const names = ['moldau', 'kafka', 'floor: take']
  t.match(
    markdownOf(results, names),
    '| x | 1000 records/s, 1000 s/GB | 250 records/s, 4000 s/GB | 4.00 | 0.25 | met (rate >= 4x, cpu <= 0.25x) |'
  )
  t.match(tableOf(results), /some +moldau +1000 \(500-1500\) rec\/s/)
  const json = JSON.parse(jsonOf(results, names))
  t.equal(json.moldau.some.recordsPerSecond, 1000)
  t.same(json.moldau.some.spread.recordsPerSecond, [500, 1500])
  t.same(json.ratios.some.goalMet, true)
  t.same(json.notes, { some: ['short'] })
  t.equal(notesOf(results), 'some: short')
  t.equal(JSON.parse(jsonOf(results, ['moldau'])).some.recordsPerSecond, 1000, 'one subject needs no name')
})

test('rows have names that can be asked for', async t => {
  const names = [...ROWS.map(each => each.name), ...new Set(ROWS.map(each => each.group))]
  const twice = names.filter((name, index) => names.indexOf(name) !== index)
  t.same(twice, [], 'no name stands for two')
  for (const [alias, name] of Object.entries(ALIASES)) {
    t.notOk(names.includes(alias))
    t.ok(names.includes(name))
  }
  for (const { name, setUp, live } of ROWS) t.equal((setUp === undefined) !== (live === undefined), true, name)
})

test('self time by function, and system calls by name', async t => {
  const frame = (functionName: string, url: string, lineNumber = 0) => ({ functionName, url, lineNumber })
  const nodes = [
    { id: 1, callFrame: frame('(idle)', '') },
    { id: 2, callFrame: frame('parse', 'file:///x/build/protocol/records/batch.js', 9) },
    { id: 3, callFrame: frame('(garbage collector)', '') },
    // The same function, called from elsewhere.
    { id: 4, callFrame: frame('parse', 'file:///x/build/protocol/records/batch.js', 9) }
  ]
  const [samples, timeDeltas] = [
    [3, 1, 2, 3, 4, 1, 2],
    [100, 5000, 1000, 1000, 2000, 9000, 5000]
  ]
  const span = { fromMicros: 6000, untilMicros: 20_000 }
  const times = selfTimes({ nodes, samples, timeDeltas, startTime: 1000 }, span)
  t.same(times, [
    { name: 'parse protocol/records/batch.js:10', ms: 3, share: 0.75 },
    { name: '(garbage collector)', ms: 1, share: 0.25 }
  ])
  const text = [
    '% time     seconds  usecs/call     calls    errors syscall',
    '------ ----------- ----------- --------- --------- ----------------',
    ' 96.29    3.598289        1946      1849       122 futex',
    '  1.25    0.046690           4     10304           write',
    '100.00    3.736000                 12153       122 total'
  ].join('\n')
  t.same(
    callsOf(text).map(each => each.trim().split(' ').at(-1)),
    ['futex', 'write']
  )
})

test('turns of the loop between two looks', async t => {
  const text = (counts: readonly number[]) =>
    ['0.001', '0.01', '+Inf']
      .map((bound, index) => `moldau_loop_turn_cpu_seconds_bucket{le="${bound}"} ${counts[index]}`)
      .join('\n')
  const before = turnsIn(text([100, 100, 150]))
  t.same(
    before.map(each => each.boundMs),
    [1, 10, Number.POSITIVE_INFINITY]
  )
  const after = turnsIn(text([198, 200, 250]))
  t.equal(turnMs(before, after, 0.98), 1)
  t.equal(turnMs(before, after, 0.99), 10, 'what was before does not count')
  t.equal(turnMs(before, after, 1), 10)
  t.ok(Number.isNaN(turnMs(before, before, 0.5)))
  t.ok(Number.isNaN(turnMs([], turnsIn('# nothing'), 0.5)), 'another broker does not tell')
})
