// Who lives and who does not: a process that is gone is found out by its connection and its address, at once; silence
// counts only after a whole session, and never the silence of a time in which this process itself stood still.
import { test } from 'tap'
import { BrokerSessions, type Caller } from '../../broker/controller-sessions.ts'
import { createLogger } from '../../broker/log.ts'
import type { Address } from '../../broker/net/network.ts'
import { Stalls } from '../../broker/stalls.ts'
import { TestClock } from '../storage/log-fixture.ts'
import { connection, turns } from './controller-fixture.ts'

type Found = 'accepted' | 'refused' | 'silent'

const ADDRESS: Address = { host: 'b2', port: 9092 }

/** Sessions of 6 s; what a look finds is what the test says then. */
class Watch {
  readonly clock = new TestClock(0)
  readonly stalls = new Stalls(this.clock)
  readonly fenced: string[] = []
  found: Found = 'accepted'
  looks = 0
  /** While it is set, looks wait for it. */
  held: Promise<void> | null = null
  address: Address | null = ADDRESS
  readonly sessions = new BrokerSessions({
    clock: this.clock,
    stalls: this.stalls,
    logger: createLogger({ level: 'silent' }),
    timeoutMs: () => 6000,
    addressOf: () => this.address,
    probe: async () => {
      this.looks++
      const { found } = this
      await this.held
      return found
    },
    fence: (brokerId, why) => this.fenced.push(`${brokerId} ${why}`)
  })

  constructor(brokerIds: number[] = []) {
    this.stalls.start()
    void this.sessions.begin(brokerIds)
  }

  /** A heartbeat of broker 2. */
  beat(caller: Caller | null = null): void {
    this.sessions.touch(2, 0, caller)
  }

  /** Time goes by as on a quiet machine, with the polls between. */
  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 50) {
      this.clock.advance(Math.min(50, left))
      this.clock.endTurn()
      await turns(1)
    }
  }

  /** The process stands still; then timers run, and only then what has arrived is read. */
  stall(ms: number, arrived: () => void = () => {}): void {
    this.clock.advance(ms)
    arrived()
    this.clock.endTurn()
  }
}

test('a process that is gone: its connection ends, nobody listens where it was', async t => {
  const watch = new Watch()
  const line = connection()
  watch.beat(line)
  await watch.pass(1000)
  t.equal(watch.looks, 0, 'nothing to look for')
  watch.found = 'refused'
  line.end()
  await turns(2)
  t.strictSame(watch.fenced, ['2 gone'], 'without any time going by')
  t.notOk(watch.sessions.isValid(2))
  await watch.pass(10_000)
  t.strictSame(watch.fenced, ['2 gone'], 'once')
})

test('a broker that registers often on one connection is looked for once when it ends', async t => {
  const watch = new Watch()
  const line = connection()
  let listeners = 0
  const { signal } = line
  const listen = signal.addEventListener.bind(signal)
  signal.addEventListener = ((...of: Parameters<typeof listen>) => {
    listeners++
    listen(...of)
  }) as typeof listen
  for (let i = 0; i < 20; i++) watch.sessions.registered(2, { connectionId: 7, signal })
  t.equal(listeners, 1)
  watch.found = 'refused'
  line.end()
  await turns(2)
  t.strictSame(watch.fenced, ['2 gone'])
})

test('its listener may go a moment after its connections', async t => {
  const watch = new Watch()
  const line = connection()
  watch.beat(line)
  line.end()
  await turns(2)
  t.strictSame(watch.fenced, [], 'somebody listens: no fault')
  watch.found = 'refused'
  await watch.pass(150)
  t.strictSame(watch.fenced, ['2 gone'])
})

test('a lost connection alone is no fault; neither is silence at the address', async t => {
  for (const found of ['accepted', 'silent'] as const) {
    const watch = new Watch()
    const line = connection()
    watch.beat(line)
    watch.found = found
    line.end()
    await watch.pass(5500)
    t.strictSame(watch.fenced, [], found)
    t.equal(watch.looks, 3)
    await watch.pass(1100)
    t.strictSame(watch.fenced, ['2 silent'], 'its session ends in its own time')
  }
})

test('any sign of life takes the hint back', async t => {
  const watch = new Watch()
  const [first, second] = [connection(1), connection(2)]
  watch.beat(first)
  let go = (): void => {}
  watch.held = new Promise(resolve => {
    go = resolve
  })
  watch.found = 'refused'
  first.end()
  watch.beat(second)
  go()
  await watch.pass(1000)
  t.strictSame(watch.fenced, [], 'it came back on another connection before the look was over')
  t.equal(watch.looks, 1)
  watch.held = null
  const third = connection(3)
  watch.beat(third)
  second.end()
  await watch.pass(1000)
  t.equal(watch.looks, 1, 'the end of an older connection says nothing')
  third.end()
  await turns(2)
  t.strictSame(watch.fenced, ['2 gone'], 'that of the present one does')

  const late = new Watch()
  late.found = 'refused'
  late.beat(third)
  await turns(2)
  t.strictSame(late.fenced, ['2 gone'], 'it may have ended before its heartbeat was read')
})

test('who left in order is not looked for', async t => {
  const watch = new Watch()
  const line = connection()
  watch.beat(line)
  watch.found = 'refused'
  watch.sessions.remove(2)
  line.end()
  await watch.pass(7000)
  t.strictSame(watch.fenced, [])
  t.equal(watch.looks, 0)
})

test('a new controller looks once for everybody, and gives all a whole session', async t => {
  const gone = new Watch([2, 3])
  gone.found = 'refused'
  await turns(2)
  t.equal(gone.looks, 2)
  await gone.pass(30)
  t.strictSame(gone.fenced, ['2 gone', '3 gone'])

  const live = new Watch([2])
  await live.pass(5900)
  t.strictSame(live.fenced, [])
  await live.pass(700)
  t.strictSame(live.fenced, ['2 silent'])

  const over = new Watch([2])
  over.found = 'refused'
  over.sessions.end()
  await over.pass(7000)
  t.strictSame(over.fenced, [], 'another node leads: not judged here')
})

test('a stall of this process is nobody else`s silence', async t => {
  const watch = new Watch()
  watch.beat()
  await watch.pass(5000)
  watch.stall(60_000)
  await watch.pass(500)
  t.strictSame(watch.fenced, [], 'a minute in which nothing could be heard')
  await watch.pass(1200)
  t.strictSame(watch.fenced, ['2 silent'], 'but the silence before and after it counts')

  const polled = new Watch()
  polled.beat()
  await polled.pass(5950)
  // 90 ms are no stall; what had arrived by then is read before it is judged.
  polled.stall(90, () => polled.beat())
  t.strictSame(polled.fenced, [])
})

test('stalls: what a timer is late counts at once, whoever asks first', t => {
  const clock = new TestClock(0)
  const stalls = new Stalls(clock)
  t.equal(stalls.totalMs, 0)
  clock.advance(10_000)
  t.equal(stalls.totalMs, 0, 'not begun')
  const seen: number[] = []
  clock.after(1400, () => seen.push(stalls.totalMs))
  stalls.start()
  clock.after(1400, () => seen.push(stalls.totalMs))
  clock.advance(250)
  t.equal(stalls.totalMs, 0)
  clock.advance(1250)
  t.strictSame(seen, [1000, 1000], 'before the beat and after it')
  t.equal(stalls.totalMs, 1000)
  clock.advance(340)
  t.equal(stalls.totalMs, 1000, 'a little late is no stall')
  stalls.stop()
  clock.advance(5000)
  t.equal(stalls.totalMs, 1000)
  t.equal(clock.timerCount, 0)
  t.end()
})

test('another incarnation takes the place only of one that is surely gone', async t => {
  const here = { host: 'b2', port: 9092 }
  const elsewhere = { host: 'b9', port: 9092 }
  const cases: [string, Caller | null | 'ended' | 'unknown', Found, Address, boolean][] = [
    ['its connection lives', connection(), 'refused', here, false],
    ['it is the broker of this node', null, 'refused', here, false],
    ['its connection ended, and the newcomer listens where it listened', 'ended', 'accepted', here, true],
    ['its connection ended, and nobody listens there', 'ended', 'refused', elsewhere, true],
    ['its connection ended, and somebody listens there', 'ended', 'accepted', elsewhere, false],
    ['its connection ended, and its address is silent', 'ended', 'silent', elsewhere, false],
    ['no connection is known, and the newcomer listens there', 'unknown', 'accepted', here, true],
    ['no connection is known, somebody else listens there', 'unknown', 'accepted', elsewhere, false]
  ]
  for (const [what, caller, found, newcomer, expected] of cases) {
    const watch = new Watch(caller === 'unknown' ? [2] : [])
    await watch.pass(500)
    if (caller === 'ended') {
      const line = connection()
      watch.beat(line)
      line.end()
      await watch.pass(500)
    } else if (caller !== 'unknown') watch.beat(caller)
    watch.found = found
    t.equal(await watch.sessions.isSucceeded(2, newcomer), expected, what)
  }
})
