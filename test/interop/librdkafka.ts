// librdkafka's own tests: those of librdkafka-allow.txt, each in a process of its own. Its quick mode (-Q) is never
// used: it skips what it should test and calls that passed.
import { chmodSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { librdkafkaTests } from './cache.ts'
import { type Outcome, run } from './process.ts'
import type { Checks, Suite, Target } from './suite.ts'

interface Entry {
  number: string
  /** The number, the name and the sub-test. */
  title: string
  subtest: string | undefined
  limitMs: number
  flags: string[]
}

const settings = { 'num.partitions': '4', 'group.initial.rebalance.delay.ms': '3000', 'delete.topic.enable': 'true' }

export const librdkafka: Suite = {
  name: 'librdkafka',
  settings: { ...settings, 'auto.create.topics.enable': 'true' },
  run: (target, checks) => runAll(target, checks, false)
}

export const librdkafkaNoAutoCreate: Suite = {
  name: 'librdkafka-noautocreate',
  settings: { ...settings, 'auto.create.topics.enable': 'false' },
  run: (target, checks) => runAll(target, checks, true)
}

/** The same tests, and those that want three brokers. */
export const librdkafkaThree: Suite = { ...librdkafka, name: 'librdkafka-three', nodes: 3 }
export const librdkafkaThreeNoAutoCreate: Suite = {
  ...librdkafkaNoAutoCreate,
  name: 'librdkafka-three-noautocreate',
  nodes: 3
}

/** The rows of a list beside this file: words, with comments behind `#`. */
export function rowsOf(file: string): string[][] {
  return readFileSync(resolve('test/interop', file), 'utf8')
    .split('\n')
    .map(line => line.replace(/#.*/, '').trim())
    .filter(line => line !== '')
    .map(line => line.split(/\s+/))
}

function entriesOf(noAutoCreate: boolean, { fast, bootstrap }: Target): Entry[] {
  const isCluster = bootstrap.includes(',')
  return rowsOf('librdkafka-allow.txt')
    .map(entryOf)
    .filter(
      entry =>
        entry.flags.includes('noautocreate') === noAutoCreate &&
        (!fast || entry.flags.includes(isCluster ? 'cluster' : 'fast'))
    )
    .filter(({ flags }) => isCluster || !flags.includes('three'))
}

function entryOf([number = '', name = '', ...flags]: string[]): Entry {
  const option = (key: string) => flags.find(flag => flag.startsWith(`${key}=`))?.slice(key.length + 1)
  const subtest = option('subtest')
  const title = subtest === undefined ? `${number} ${name}` : `${number} ${name} ${subtest}`
  return { number, title, subtest, limitMs: Number(option('limit') ?? 300) * 1000, flags }
}

async function runAll(target: Target, checks: Checks, noAutoCreate: boolean): Promise<void> {
  if (!existsSync(join(librdkafkaTests, 'test-runner'))) {
    return checks.skip('all', `librdkafka's tests are not built in ${librdkafkaTests}: npm run interop -- --build`)
  }
  const environment = prepare(target)
  const entries = entriesOf(noAutoCreate, target).filter(entry => checks.wants(entry.title))
  // Most of the time a test waits: several beside each other cost the machine little. Some bear nothing beside them.
  const together = entries.filter(entry => !entry.flags.includes('alone'))
  const again: Entry[] = []
  const lane = async (): Promise<void> => {
    for (let entry = together.shift(); entry !== undefined; entry = together.shift()) {
      const passed = await runOne(entry, target, environment, checks, why =>
        console.log(`# again later: ${entry.title}: ${why.split('\n')[0]}`)
      )
      if (!passed) again.push(entry)
    }
  }
  await Promise.all(Array.from({ length: Number(process.env.MOLDAU_INTEROP_LANES ?? 4) }, lane))
  // Many of the tests measure time, and fail beside others on a busy machine, on Apache Kafka too: what failed runs once
  // more, alone, and that counts.
  for (const entry of [...entries.filter(each => each.flags.includes('alone')), ...again]) {
    await runOne(entry, target, environment, checks, why => checks.fail(entry.title, why))
  }
}

/** What the tests are told by environment, and the scripts that some of them call. */
function prepare(target: Target): Record<string, string> {
  const conf = join(target.scratch, 'test.conf')
  const shim = join(target.scratch, 'kafka')
  writeFileSync(conf, `bootstrap.servers=${target.bootstrap}\n`)
  const common = {
    LD_LIBRARY_PATH: '../src:../src-cpp',
    RDKAFKA_TEST_CONF: conf,
    CI: '1',
    TEST_KAFKA_VERSION: '4.1.0',
    BROKERS: target.bootstrap.split(',')[0] ?? ''
  }
  if (target.tools === undefined) return common
  mkdirSync(join(shim, 'bin'), { recursive: true })
  for (const tool of ['kafka-topics', 'kafka-acls']) {
    const script = join(shim, 'bin', `${tool}.sh`)
    writeFileSync(script, `#!/bin/sh\nexec ${target.tools.program} ${tool} "$@"\n`)
    chmodSync(script, 0o755)
  }
  const libs = process.env.KAFKA_HOME
  if (libs !== undefined) symlinkSync(join(libs, 'libs'), join(shim, 'libs'))
  return { ...common, KAFKA_PATH: shim }
}

async function runOne(
  entry: Entry,
  target: Target,
  environment: Record<string, string>,
  checks: Checks,
  onFailure: (why: string) => void
): Promise<boolean> {
  const file = join(target.scratch, entry.title.replace(/\W+/g, '-'))
  const report = `${file}.json`
  const scenario = entry.flags.includes('noautocreate') ? ['-s', 'noautocreate'] : []
  const subtests: Record<string, string> = entry.subtest === undefined ? {} : { SUBTESTS: entry.subtest }
  const begin = performance.now()
  const outcome = await run('./test-runner', ['-p1', '-L', ...scenario], {
    cwd: librdkafkaTests,
    env: { ...environment, ...subtests, TESTS: entry.number, TEST_REPORT: report },
    limitMs: entry.limitMs
  })
  writeFileSync(`${file}.out`, outcome.stdout + outcome.stderr)
  const why = judge(report, outcome) ?? judgeSubtest(entry, outcome)
  if (why === undefined) checks.pass(entry.title, performance.now() - begin)
  else onFailure(`${why}\n${tail(outcome)}`)
  return why === undefined
}

/** Why the run is no pass: the report is the truth, as the exit status is that of the runner's own abort too. */
function judge(report: string, outcome: Outcome): string | undefined {
  if (outcome.timedOut) return 'not finished within its limit'
  if (!existsSync(report)) return `no report, status ${outcome.code}`
  const { tests } = JSON.parse(readFileSync(report, 'utf8')) as {
    tests: Record<string, { state: string; duration: number }>
  }
  const ran = Object.entries(tests).filter(([, test]) => test.state !== 'SKIPPED')
  const bad = ran.filter(([, test]) => test.state !== 'PASSED' || test.duration === 0)
  if (bad.length > 0)
    return bad.map(([test, { state, duration }]) => `${test}: ${state} after ${duration} s`).join(', ')
  return ran.length === 0 ? `nothing ran: ${Object.keys(tests).join(', ')}` : undefined
}

/** A sub-test that does not exist, or is skipped, leaves its test PASSED. */
function judgeSubtest({ subtest }: Entry, { stdout, stderr }: Outcome): string | undefined {
  if (subtest === undefined) return undefined
  const lines = `${stdout}\n${stderr}`.split('\n').filter(line => line.includes(subtest))
  return lines.some(line => line.includes('PASS')) ? undefined : `the sub-test did not run: ${lines.join(' ')}`
}

function tail(outcome: Outcome): string {
  const lines = `${outcome.stdout}\n${outcome.stderr}`.split('\n')
  const failed = lines.filter(line => /TEST FAILURE|FAIL|assert|Assertion/.test(line)).slice(0, 12)
  return [...failed, '...', ...lines.slice(-12)].join('\n')
}
