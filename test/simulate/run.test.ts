// Whole runs in the simulator: a seed is a run, and a few fixed ones with every kind of fault break no promise. What the
// parts around a run do (faults, shrinking, statistics) is tested here too; what checkers see, in checkers.test.ts.
import { test } from 'tap'
import { Violation } from '../../clients/simulate/checkers/violation.ts'
import { optionsFrom, simulateSeeds } from '../../clients/simulate/command.ts'
import { Dice } from '../../clients/simulate/dice.ts'
import { commandFor, explain } from '../../clients/simulate/explanation.ts'
import { drawFaults, FAULT_KINDS, type Fault, parseKinds, shownFault } from '../../clients/simulate/faults.ts'
import { simulate } from '../../clients/simulate/run.ts'
import { shrink } from '../../clients/simulate/shrink.ts'
import { addUp, countFaults, inFull, noStatistics } from '../../clients/simulate/statistics.ts'

const SEEDS = [1, 2]
const MINUTE_MS = 60_000

test('a few seeds with every kind of fault', async t => {
  const lines: string[] = []
  const options = { seed: SEEDS[0] as number, runs: SEEDS.length, hours: 1 / 120, brokers: 3, kinds: FAULT_KINDS }
  const { statistics, failed } = await simulateSeeds({ ...options, everyMs: 3000, shrinkTries: 0 }, line =>
    lines.push(line)
  )
  t.equal(failed, null, lines.join('\n'))
  t.equal(lines.length, SEEDS.length, 'a line for each run')
  t.ok(statistics.ackedRecords > 300, `${statistics.ackedRecords} records were acked`)
  t.ok(statistics.elections > 4 && statistics.generations > 4, 'leaders and generations changed')
})

test('a node away for an hour of writes, then a disk lost, then the power of all: nothing acked is lost', async t => {
  const hourMs = 60 * MINUTE_MS
  const faults: Fault[] = [
    { atMs: 5_000, kind: 'kill', node: 0, other: 1, ms: hourMs, dice: 7 },
    { atMs: hourMs + 35_000, kind: 'wipe', node: 1, other: 0, ms: 3_000, dice: 7 },
    // An even number: each disk loses everything that was not synced, and not only some of it.
    { atMs: hourMs + 80_000, kind: 'power-loss-all', node: 2, other: 0, ms: 2_000, dice: 8 }
  ]
  const o = { seed: 2, ms: hourMs + 100_000, brokers: 3, kinds: [], rest: 4, faults }
  const { violation, struck, statistics } = await simulate(o)
  t.equal(violation, null, violation?.message ?? 'no promise is broken')
  t.same(
    struck.map(({ kind }) => kind),
    ['kill', 'wipe', 'power-loss-all']
  )
  t.ok(statistics.ackedRecords > 10_000, `${statistics.ackedRecords} records were acked`)
})

test('one broker alone', async t => {
  const { violation, statistics } = await simulate({ seed: 7, ms: MINUTE_MS / 2, brokers: 1, kinds: FAULT_KINDS })
  t.equal(violation, null, violation?.message ?? 'no promise is broken')
  t.ok(statistics.ackedRecords > 50)
})

test('the same seed is the same run', async t => {
  const options = { seed: 11, ms: 8000, brokers: 3, kinds: FAULT_KINDS, everyMs: 1500 }
  const one = await simulate(options)
  const again = await simulate(options)
  t.equal(again.traceHash, one.traceHash)
  t.same({ ...again.statistics, cpuMs: 0 }, { ...one.statistics, cpuMs: 0 })
  const other = await simulate({ ...options, seed: 12 })
  t.not(other.traceHash, one.traceHash)
})

test('faults are drawn from the seed, each kind as often as any other', t => {
  const plan = { fromMs: 1000, untilMs: 3_600_000, everyMs: 10_000, nodes: 3, kinds: FAULT_KINDS }
  const faults = drawFaults(new Dice('faults'), plan)
  // As text: comparing long lists that differ takes the test's tool many seconds.
  t.equal(JSON.stringify(drawFaults(new Dice('faults'), plan)), JSON.stringify(faults))
  t.ok(JSON.stringify(drawFaults(new Dice('others'), plan)) !== JSON.stringify(faults))
  const counts = FAULT_KINDS.map(kind => faults.filter(each => each.kind === kind).length)
  t.ok(Math.max(...counts) - Math.min(...counts) <= 2, counts.join(' '))
  t.ok(faults.length > 250 && faults.length < 470, `${faults.length} in an hour`)
  t.ok(faults.every(({ node, other }) => node !== other && node < 3 && other <= 3))
  t.same(drawFaults(new Dice('x'), { ...plan, kinds: [] }), [])
  const alone = drawFaults(new Dice('x'), { ...plan, nodes: 1 })
  t.notOk(
    [...alone, ...drawFaults(new Dice('x'), { ...plan, nodes: 2 })].some(
      ({ kind }) => kind === 'wipe' || kind === 'flipped-bit'
    ),
    'one copy is not taken away'
  )
  const cut: Fault = { atMs: 1500, kind: 'cut', node: 0, other: 2, ms: 900, dice: 1 }
  t.match(shownFault(cut, 3), '1.500 s: cut broker 1 - broker 3 for 900 ms')
  t.match(shownFault({ ...cut, other: 3 }, 3), 'cut broker 1 - the clients')
  t.end()
})

test('kinds by name', t => {
  t.same(parseKinds('all').kinds, FAULT_KINDS)
  t.same(parseKinds('none'), { kinds: [], unknown: [] })
  t.same(parseKinds('wipe, kill,flood'), { kinds: ['kill', 'wipe'], unknown: ['flood'] })
  const texts = {
    seed: '5',
    runs: '2',
    hours: '0.5',
    brokers: '3',
    faults: 'kill',
    every: '20',
    rest: '45',
    shrink: '9'
  }
  t.match(optionsFrom(texts), { seed: 5, runs: 2, hours: 0.5, brokers: 3, kinds: ['kill'], everyMs: 20_000 })
  t.throws(() => optionsFrom({ ...texts, faults: 'flood' }), /no fault has the name flood/)
  t.match(optionsFrom({ ...texts, runs: '1', only: '3,17' }), { only: [3, 17] })
  const wrong: [Partial<typeof texts> & { only?: string }, RegExp][] = [
    [{ runs: 'many' }, /--runs must be a number/],
    [{ hours: 'Infinity' }, /--hours must be a number/],
    [{ hours: '1e400' }, /--hours must be a number/],
    [{ hours: '1e300' }, /--hours must be at most 10000/],
    [{ hours: '' }, /--hours must be a number/],
    [{ brokers: '2.5' }, /--brokers must be a whole number/],
    [{ seed: '1.5' }, /--seed must be a whole number/],
    [{ runs: '1.5' }, /--runs must be a whole number/],
    [{ shrink: '0.5' }, /--shrink must be a whole number/],
    [{ brokers: '1', faults: 'wipe,flipped-bit' }, /no fault is left/],
    [{ brokers: '2', faults: 'wipe' }, /no fault is left/],
    [{ only: '3' }, /--only .* goes with --runs 1/],
    [{ runs: '1', only: '3,' }, /--only must be a number/]
  ]
  for (const [change, said] of wrong) t.throws(() => optionsFrom({ ...texts, ...change }), said)
  t.same(optionsFrom({ ...texts, brokers: '1', faults: 'none' }).kinds, [])
  t.end()
})

test('a failing list of faults is made short', async t => {
  const faults = Array.from({ length: 40 }, (_, at): Fault => {
    return { atMs: at, kind: 'kill', node: 0, other: 1, ms: 0, dice: at }
  })
  const fails = (list: readonly Fault[]): Promise<boolean> =>
    Promise.resolve([7, 31].every(wanted => list.some(each => each.atMs === wanted)))
  const { faults: kept, tries } = await shrink(faults, fails, 1000)
  t.same(
    kept.map(each => each.atMs),
    [7, 31]
  )
  t.ok(tries < 60, `${tries} tries`)
  const cut = await shrink(faults, fails, 3)
  t.equal(cut.tries, 3, 'no more tries than allowed')
})

test('a failure names what struck, by the ids of brokers, and the command for just that', async t => {
  const asked = { seed: 3, ms: 30_000, brokers: 3, kinds: FAULT_KINDS, everyMs: 2000 }
  const whole = await simulate({ ...asked, ms: 1 })
  const { drawn } = await simulate({ ...asked, only: [] })
  t.equal(whole.drawn.length, 0)
  t.ok(drawn.length > 3, `${drawn.length} are drawn`)
  const result = await simulate({ ...asked, only: [1] })
  t.equal(result.violation, null, result.violation?.message ?? 'no promise is broken')
  t.same(
    result.struck.map(({ fault }) => fault),
    [drawn[1]]
  )
  await t.rejects(simulate({ ...asked, only: [drawn.length] }), /no fault has the number/)
  const violation = new Violation('progress', 'made up')
  const lines: string[] = []
  await explain({ ...result, violation }, { options: { ...asked, only: [1] }, hours: 30 / 3600 }, 0, line =>
    lines.push(line)
  )
  const text = lines.join('\n')
  t.match(text, `broker ${(result.struck[0]?.node ?? 0) + 1}`)
  t.match(text, '(drawn as 1)')
  t.match(lines.at(-1), `again: moldau sim --seed 3 --hours ${30 / 3600} --every 2 --only 1`)
  t.equal(
    commandFor(
      { options: { ...asked, brokers: 5, rest: 4 }, hours: 0.5 },
      [drawn[2] as Fault, drawn[0] as Fault],
      drawn
    ),
    'moldau sim --seed 3 --hours 0.5 --brokers 5 --every 2 --rest 4 --only 2,0'
  )
})

test('statistics add up', t => {
  const one = noStatistics()
  countFaults(one, [
    { kind: 'kill', node: 0, fromMs: 0, toMs: 10 },
    { kind: 'cut', node: 1, fromMs: 5, toMs: 20 },
    { kind: 'pause', node: 1, fromMs: 11, toMs: 12 },
    { kind: 'pause', node: 2, fromMs: 11, toMs: 12 }
  ])
  t.match(one.faults, { kill: 1, cut: 1, pause: 2 })
  t.same(one.overlaps, { 'kill cut': 1, 'pause cut': 2 })
  const sum = noStatistics()
  addUp(sum, { ...one, ackedRecords: 5, runs: 1 })
  addUp(sum, { ...one, ackedRecords: 6, runs: 1 })
  t.match(sum, { ackedRecords: 11, runs: 2, faults: { pause: 4 }, overlaps: { 'pause cut': 4 } })
  t.match(inFull(sum), /rarest pair: kill pause, 0 times/)
  t.end()
})
