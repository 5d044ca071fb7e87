// What the benchmark of three brokers reckons and tells: silences over all rounds, and fencings that no fault explains.
import { test } from 'tap'
import { gapsOver, markdownOf, tableOf } from '../../scripts/bench-cluster-report.ts'
import { FencingCount } from '../../scripts/bench-cluster-subject.ts'

test('who was struck may be fenced until all is whole again, and nobody else', t => {
  const count = new FencingCount()
  const fenced = (brokerId: number) =>
    count.onLine(1, JSON.stringify({ level: 'warn', brokerId, why: 'silent', msg: 'broker-session-expired' }))
  count.onLine(1, 'not a line of the log')
  count.onLine(1, JSON.stringify({ msg: 'broker-fenced', brokerId: 2 }))
  count.struck(2)
  fenced(2)
  t.same(count.unexplained, [])
  fenced(3)
  t.same(count.unexplained, ['broker 3, silent, said 1'])
  count.healed()
  fenced(2)
  t.equal(count.unexplained.length, 2)
  t.end()
})

test('median, 99th percentile and maximum are of all partitions in all rounds', t => {
  const each = Array.from({ length: 200 }, (_, index) => 200 - index)
  t.same(gapsOver(each, 20), { rounds: 20, medianMs: 101, p99Ms: 199, maxMs: 200 })
  t.same(gapsOver([7.4], 1), { rounds: 1, medianMs: 7, p99Ms: 7, maxMs: 7 })
  t.end()
})

test('rows of all subjects stand beside each other', t => {
  const load = { recordsPerSecond: 100, megabytesPerSecond: 1, cpuSecondsPerGigabyte: 9, cpuMicrosPerRecord: 10 }
  const results = [
    { subject: 'moldau', row: 'idle', figures: { cpuPercent: 1 } },
    { subject: 'moldau', row: 'latency', figures: { ...load, p50Ms: 1.5, p99Ms: 3 } },
    { subject: 'moldau', row: 'graceful', figures: gapsOver([30], 1) },
    { subject: 'kafka', row: 'latency', figures: { ...load, p50Ms: 60, p99Ms: 140 } }
  ]
  const fencings = [
    { subject: 'moldau', unexplained: [] },
    { subject: 'kafka', unexplained: null }
  ]
  const lines = markdownOf(results, fencings).split('\n')
  t.same(
    lines.slice(2, 6).map(line => line.split(' | ').slice(0, 2).join(' ')),
    ['| idle moldau', '| latency moldau', '| latency kafka', '| graceful moldau']
  )
  t.match(lines[4], /100 records\/s \| 9 s\/GB, 10 us a record \| 60 \| 140/)
  t.match(lines.slice(6), ['', 'moldau: fenced without a fault: 0', 'kafka: its fencings are not counted'])
  t.equal(tableOf(results, fencings).split('\n').length, 8)
  t.end()
})
