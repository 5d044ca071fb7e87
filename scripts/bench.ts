// `npm run bench`: what one broker costs. Produces and fetches with pre-encoded frames from this process, and reads
// the broker's CPU from the operating system's accounting, so that any broker can be measured by the same program:
//   npm run bench                                   a moldau of its own, in a temporary directory
//   npm run bench -- --bootstrap HOST:PORT --pid N  any running broker on this machine
//   npm run bench -- --seconds 5 --rounds 3 --only produce-64k --json
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { CASES, type Case, type Measured, measure } from './bench-load.ts'

const { values } = parseArgs({
  options: {
    bootstrap: { type: 'string' },
    pid: { type: 'string' },
    seconds: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string' },
    set: { type: 'string', multiple: true, default: [] },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false }
  }
})

if (values.help) {
  console.log(`npm run bench -- [--bootstrap HOST:PORT --pid N] [--seconds N] [--rounds N] [--only CASE] [--set key=value]... [--json]

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

async function run(bootstrap: string, pid: number, cases: readonly Case[]): Promise<void> {
  const seconds = Number(values.seconds)
  const results = new Map<string, Measured[]>(cases.map(each => [each.name, []]))
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const each of cases) {
      if (process.stderr.isTTY) process.stderr.write(`\rround ${round + 1}: ${each.name.padEnd(30)}`)
      results.get(each.name)?.push(await measure(each, bootstrap, pid, seconds))
    }
  }
  if (process.stderr.isTTY) process.stderr.write(`${'\r'.padEnd(50)}\r`)
  const table = Object.fromEntries([...results].map(([name, rounds]) => [name, summary(rounds)]))
  if (values.json) console.log(JSON.stringify(table, null, 2))
  else console.table(table)
}

const cases = values.only ? CASES.filter(each => each.name === values.only) : CASES
if (cases.length === 0) {
  console.error(`no case is called ${values.only}; --help lists them`)
  process.exit(2)
}
if (values.bootstrap) {
  await run(values.bootstrap, Number(values.pid ?? Number.NaN), cases)
} else {
  const { child, bootstrap, directory } = await startMoldau()
  try {
    await run(bootstrap, child.pid as number, cases)
  } finally {
    child.kill('SIGTERM')
    await new Promise(resolve => child.once('exit', resolve))
    rmSync(directory, { recursive: true, force: true })
  }
}
