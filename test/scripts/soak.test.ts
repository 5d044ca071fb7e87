// What the soaks count: only runs that are new, whole, unbroken, of the same options and under load; what is short of a proof is
// said; and whoever asks for nothing that can be counted gets one line.
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'tap'
import { FAULT_KINDS } from '../../clients/simulate/faults.ts'
import { noStatistics, type Statistics } from '../../clients/simulate/statistics.ts'
import { countFrom } from '../../scripts/soak-options.ts'
import { proofLine, type SavedRun, soakReport, sumOf } from '../../scripts/soak-sum.ts'

const HOUR_MS = 3_600_000
const SETTINGS = { hours: 0.25, kinds: ['kill'] }

function run(seed: number, changes: Partial<SavedRun> = {}, statistics: Partial<Statistics> = {}): string {
  const counted = { ...noStatistics(), runs: 1, simulatedMs: HOUR_MS, underLoadMs: HOUR_MS / 2, ...statistics }
  return JSON.stringify({ seed, build: 'a', settings: SETTINGS, violation: null, statistics: counted, ...changes })
}

test('a run counts once, with the same options, whole, unbroken, and under load', t => {
  const sum = sumOf(
    [
      run(1),
      run(2, { build: 'b', settings: { kinds: ['kill'], hours: 0.25 } }),
      run(1, { build: 'b' }),
      run(3, { settings: { ...SETTINGS, hours: 1 } }),
      run(4, {}, { underLoadMs: HOUR_MS / 5 - 1 }),
      run(5, { violation: 'one-leader' }),
      run(6).slice(0, 80),
      JSON.stringify({ statistics: noStatistics(), seed: 7 }),
      run(9).replace('"violation":null,', ''),
      '',
      'null',
      run(8, {}, { underLoadMs: HOUR_MS / 5 })
    ],
    SETTINGS
  )
  t.equal(sum.statistics.runs, 3)
  t.same([...sum.seeds], [1, 2, 8])
  t.equal(sum.lastSeed, 8, 'the next start goes on behind it')
  t.same(Object.fromEntries(sum.left), {
    'a seed that was counted before': 1,
    'other options': 1,
    'less than 20 % under load': 1,
    'a broken promise': 1,
    'not a whole line': 4
  })
  const report = soakReport(sum)
  for (const each of [
    /^build a: 2\.00 simulated hours$/m,
    /^build b: 1\.00 simulated hours$/m,
    /^BROKEN seed 5: one-leader$/m,
    /^4 runs do not count: not a whole line$/m,
    /^ +wipe +0 /m
  ]) {
    t.match(report, each)
  }
  t.match(report.split('\n').at(-1), /^PROOF: short: [^|]*; 1 broken promises \|/)
  t.end()
})

test('each goal of the proof is compared, and what is short is named', t => {
  const faults = Object.fromEntries(FAULT_KINDS.map(kind => [kind, 6000])) as Statistics['faults']
  const overlaps = Object.fromEntries(
    FAULT_KINDS.flatMap((one, index) => FAULT_KINDS.slice(index + 1).map(other => [`${one} ${other}`, 100]))
  )
  const simulatedMs = 1000 * HOUR_MS
  const whole = { simulatedMs, underLoadMs: simulatedMs / 5, ackedRecords: 10_000_000, faults, overlaps }
  const proof = (changes: Partial<Statistics>) => proofLine(sumOf([run(1, {}, { ...whole, ...changes })], SETTINGS))
  t.match(proof({}), /^PROOF: all of it holds: 1000 simulated hours \(1000\); /)
  const short: [Partial<Statistics>, RegExp][] = [
    [{ simulatedMs: simulatedMs - 1 }, /^PROOF: short: 999\.99 simulated hours \(1000\) \|/],
    [{ ackedRecords: 9_999_999 }, /^PROOF: short: 9999999 records acked \(10000000\) \|/],
    [
      { faults: { ...faults, wipe: 999 } },
      /^PROOF: short: each kind 999 times \(1000; rarest wipe, 1 of 18 short\) \|/
    ],
    [
      { overlaps: { ...overlaps, 'wipe clock-jump': 99 } },
      /^PROOF: short: each pair 99 times \(100; rarest wipe clock-jump, 1 of 153 short\) \|/
    ],
    [{ faults: { ...faults, kill: 0 } }, /short: each kind 0 times \(1000; rarest kill, 1 of 18 short\)/],
    [{ overlaps: {} }, /each pair 0 times \(100; rarest kill power-loss, 153 of 153 short\)/]
  ]
  for (const [changes, line] of short) t.match(proof(changes), line)
  const broken = run(2, { violation: 'progress', settings: {} })
  t.match(
    proofLine(sumOf([run(1, {}, whole), broken], SETTINGS)),
    /^PROOF: short: 1 broken promises \| holds: 1000 sim/
  )
  const few = Object.fromEntries(FAULT_KINDS.map(kind => [kind, 1000])) as Statistics['faults']
  t.match(proof({ faults: few }), /^PROOF: short: 18000 faults \(100000\) \|/)
  t.match(
    proofLine(sumOf([], SETTINGS)),
    /^PROOF: short: 0 simulated hours .*; 0 % under load \(20\) \| holds: 0 broken/
  )
  t.end()
})

const SOAK = fileURLToPath(new URL('../../scripts/soak.js', import.meta.url))

test('a second start goes on behind the first, and its lines say what ran', t => {
  const file = join(t.testdir(), 'sum')
  const args = [SOAK, '--hours=0.004', '--every=2', '--runs=1', '--jobs=1', `--save=${file}`]
  const first = spawnSync(process.execPath, args, { encoding: 'utf8' })
  t.equal(first.status, 0, first.stderr)
  writeFileSync(file, `${readFileSync(file, 'utf8')}{"seed":`)
  const second = spawnSync(process.execPath, args, { encoding: 'utf8' })
  t.equal(second.status, 0, second.stderr)
  t.match(second.stdout, /^seed 2: ok/m)
  t.match(second.stdout, /^2 runs, .*(.|\n)*1 run does not count: not a whole line(.|\n)*PROOF: short/m)
  const lines = readFileSync(file, 'utf8').trim().split('\n')
  t.equal(lines.length, 3)
  const { seed, build, settings, violation } = JSON.parse(lines[2] as string)
  t.match({ seed, settings, violation }, { seed: 2, violation: null, settings: { hours: 0.004, brokers: 3, rest: 1 } })
  t.type(build, 'string')
  t.end()
})

test('what cannot be counted is refused in one line', t => {
  for (const text of ['all', '0', '-1', '1.5', 'NaN', 'Infinity', ' ', '1e99']) {
    t.throws(() => countFrom('faults', text), { code: 'ERR_CONFIG' })
  }
  t.equal(countFrom('faults', '200'), 200)
  const wrong: [string[], RegExp][] = [
    [['--jobs=x'], /--jobs must be/],
    [['--runs=0'], /--runs must be/],
    [['--real', '--faults=all'], /--faults must be a whole number of at least 1, not 'all'/],
    [['--real', '--hours=1'], /--hours/]
  ]
  for (const [args, line] of wrong) {
    const { status, stderr } = spawnSync(process.execPath, [SOAK, ...args], { encoding: 'utf8', timeout: 20_000 })
    t.equal(status, 2, args.join(' '))
    t.match(stderr, line)
    t.equal(stderr.trim().split('\n').length, 1, stderr)
  }
  t.end()
})

const QUOTA = `
import fs from 'node:fs'
const [file, flag] = process.argv.slice(1)
const fd = fs.openSync(file, 'w')
const tried = write => { try { return write() } catch (error) { return error.code } }
const both = position => tried(() => fs.writevSync(fd, [Buffer.from('abc'), Buffer.from('def')], position))
const told = [both(0)]
fs.writeFileSync(flag, '4')
told.push(both(6), both(10), tried(() => fs.writeSync(fd, Buffer.from('x'), 0, 1, 10)))
fs.rmSync(flag)
told.push(tried(() => fs.writeSync(fd, Buffer.from('-gh-'), 1, 2, 10)), fs.readFileSync(file, 'utf8'))
console.log(JSON.stringify(told))
`

test('a quota is as a full disk: a short write, then none, until there is space', t => {
  const folder = t.testdir()
  const hook = new URL('../../scripts/quota-hook.js', import.meta.url).href
  const flag = join(folder, 'full')
  const args = ['--import', hook, '--input-type=module', '-e', QUOTA, join(folder, 'log'), flag]
  const options = { encoding: 'utf8', env: { ...process.env, QUOTA_FLAG: flag } } as const
  const { stdout, stderr } = spawnSync(process.execPath, args, options)
  t.equal(stderr, '')
  t.same(JSON.parse(stdout), [6, 4, 'ENOSPC', 'ENOSPC', 2, 'abcdefabcdgh'])
  t.end()
})
