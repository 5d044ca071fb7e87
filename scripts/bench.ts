// `npm run bench`: what one broker costs. Produces and fetches with pre-encoded frames from this process, and reads
// the broker's CPU from the operating system's accounting, so that any broker can be measured by the same program:
//   npm run bench                                   a moldau of its own, in a temporary directory
//   npm run bench -- --bootstrap HOST:PORT --pid N  any running broker on this machine
//   npm run bench -- --against HOST:PORT --against-pid N   both, round by round in turn, and the ratios
//   npm run bench -- cluster                        three brokers (bench-cluster.ts)
//   npm run bench -- --seconds 5 --rounds 3 --only produce-64k,small-5 --json
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { CASES, type Case, type Measured, measure } from './bench-load.ts'

if (process.argv[2] === 'cluster') {
  // Three brokers have a benchmark of their own; it ends the process.
  await import('./bench-cluster.ts')
}

const { values } = parseArgs({
  options: {
    bootstrap: { type: 'string' },
    pid: { type: 'string' },
    against: { type: 'string' },
    'against-pid': { type: 'string' },
    seconds: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string' },
    set: { type: 'string', multiple: true, default: [] },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false }
  }
})

if (values.help) {
  console.log(`npm run bench -- [--bootstrap HOST:PORT --pid N] [--against HOST:PORT --against-pid N] [--seconds N] [--rounds N] [--only CASE,CASE] [--set key=value]... [--json]

cases: ${CASES.map(each => `\n  ${each.name.padEnd(22)} ${each.what}`).join('')}`)
  process.exit(0)
}

/** A moldau of our own, on a free port. */
async function startMoldau(): Promise<{ child: ChildProcess; bootstrap: string; directory: string }> {
  const directory = mkdtempSync(join(tmpdir(), 'moldau-bench-'))
  const settings = [
    'listeners=PLAINTEXT://127.0.0.1:0',
    `log.dirs=${directory}`,
    'moldau.http.listener=off',
    ...values.set
  ]
  const child = spawn(
    process.execPath,
    ['build/bin/moldau.cjs', 'start', ...settings.flatMap(each => ['--set', each])],
    { stdio: ['ignore', 'pipe', 'inherit'] }
  )
  const bootstrap = await new Promise<string>((resolve, reject) => {
    let printed = ''
    child.stdout?.on('data', chunk => {
      printed += chunk
      const address = /((?:localhost|127\.0\.0\.1):\d+)/.exec(printed)?.[1]
      if (address && /ready/.test(printed)) resolve(address.replace('localhost', '127.0.0.1'))
    })
    child.once('exit', code => reject(new Error(`the broker ended with code ${code} before it was ready`)))
  })
  return { child, bootstrap, directory }
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

function summary(rounds: readonly Measured[]) {
  const pick = (of: (each: Measured) => number): number => median(rounds.map(of))
  return {
    recordsPerSecond: Math.round(pick(each => each.records / each.seconds)),
    megabytesPerSecond: Number(pick(each => each.bytes / each.seconds / 1e6).toFixed(1)),
    requestsPerSecond: Math.round(pick(each => each.requests / each.seconds)),
    cpuMicrosPerRecord: Number(pick(each => (each.cpuSeconds / each.records) * 1e6).toFixed(2)),
    cpuSecondsPerGigabyte: Number(pick(each => (each.cpuSeconds / each.bytes) * 1e9).toFixed(2)),
    p50Ms: Number(pick(each => each.p50Ms).toFixed(2)),
    p99Ms: Number(pick(each => each.p99Ms).toFixed(2))
  }
}

interface Target {
  readonly name: string
  readonly bootstrap: string
  readonly pid: number
}

type Summary = ReturnType<typeof summary>

/** The first by the second: above 1 for rates and below 1 for costs the first is better. */
function ratios(first: Summary, second: Summary): Record<string, number> {
  const keys = Object.keys(first) as (keyof Summary)[]
  return Object.fromEntries(keys.map(key => [key, Number((first[key] / second[key]).toFixed(2))]))
}

/** Round by round, case by case, one target after the other: what slows the machine down slows all of them. */
async function run(targets: readonly Target[], cases: readonly Case[]): Promise<void> {
  const seconds = Number(values.seconds)
  const results = targets.map(() => new Map<string, Measured[]>(cases.map(each => [each.name, []])))
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const each of cases) {
      for (const [index, { name, bootstrap, pid }] of targets.entries()) {
        if (process.stderr.isTTY) process.stderr.write(`\rround ${round + 1}: ${each.name} ${name}`.padEnd(50))
        results[index]?.get(each.name)?.push(await measure(each, bootstrap, pid, seconds))
      }
    }
  }
  if (process.stderr.isTTY) process.stderr.write(`${'\r'.padEnd(50)}\r`)
  const tables = results.map(each => new Map([...each].map(([name, rounds]) => [name, summary(rounds)])))
  const shown: Record<string, object> = {}
  for (const [index, table] of tables.entries()) shown[targets[index]?.name ?? ''] = Object.fromEntries(table)
  const [first, second] = tables
  if (first && second) {
    shown.ratios = Object.fromEntries(
      [...first].map(([name, each]) => [name, ratios(each, second.get(name) as Summary)])
    )
  }
  if (values.json) console.log(JSON.stringify(targets.length === 1 ? shown[targets[0]?.name ?? ''] : shown, null, 2))
  else {
    for (const [name, table] of Object.entries(shown)) {
      if (targets.length > 1) console.log(name)
      console.table(table)
    }
  }
}

const wanted = values.only?.split(',') ?? CASES.map(each => each.name)
const unknown = wanted.find(name => !CASES.some(each => each.name === name))
if (unknown !== undefined) {
  console.error(`no case is called ${unknown}; --help lists them`)
  process.exit(2)
}
const cases = CASES.filter(each => wanted.includes(each.name))
const others: Target[] = values.against
  ? [{ name: values.against, bootstrap: values.against, pid: Number(values['against-pid'] ?? Number.NaN) }]
  : []
if (values.bootstrap) {
  const target = { name: values.bootstrap, bootstrap: values.bootstrap, pid: Number(values.pid ?? Number.NaN) }
  await run([target, ...others], cases)
} else {
  const { child, bootstrap, directory } = await startMoldau()
  try {
    await run([{ name: 'moldau', bootstrap, pid: child.pid as number }, ...others], cases)
  } finally {
    child.kill('SIGTERM')
    await new Promise(resolve => child.once('exit', resolve))
    rmSync(directory, { recursive: true, force: true })
  }
}
