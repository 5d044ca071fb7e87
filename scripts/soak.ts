// `npm run soak`: runs until told (Ctrl-C), and keeps count of what was proven. With `--sim` (the default) simulated clusters,
// seed after seed, one process per core; each run is a line in FILE of `--save`, so that hours can be summed over several
// days (soak-sum.ts says which lines count). With `--real` real processes under real faults (soak-real.ts).
import { type ChildProcess, execFileSync, fork } from 'node:child_process'
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { optionsFrom, type SimOptions, simulateSeeds } from '../clients/simulate/command.ts'
import { countFrom, readOptions } from './soak-options.ts'
import { addRun, type SavedRun, type Settings, type SoakSum, soakReport, sumOf } from './soak-sum.ts'

const OPTIONS = {
  options: {
    sim: { type: 'boolean', default: false },
    real: { type: 'boolean', default: false },
    seed: { type: 'string' },
    runs: { type: 'string', default: '1000000000' },
    hours: { type: 'string', default: '0.25' },
    brokers: { type: 'string', default: '3' },
    faults: { type: 'string', default: 'all' },
    every: { type: 'string', default: '20' },
    rest: { type: 'string', default: '1' },
    shrink: { type: 'string', default: '60' },
    jobs: { type: 'string', default: String(Math.max(1, availableParallelism())) },
    save: { type: 'string' },
    /** Of a child: every so many seeds are its own. */
    stride: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false }
  },
  // The options of --real are read by soak-real.ts.
  strict: !process.argv.includes('--real')
} as const
const { values } = readOptions(() => parseArgs(OPTIONS))

if (values.help) {
  console.log(`npm run soak -- [--sim] [--seed N] [--runs N] [--hours H] [--brokers N] [--faults KIND,KIND] [--every SECONDS] [--rest N]
                [--shrink TRIES] [--jobs N] [--save FILE]     simulated clusters, seed after seed; Ctrl-C ends with the sum.
                Without --seed it goes on behind the last seed of FILE; in the sum a run counts once, and only if it kept every
                promise, had these options, and worked under load
npm run soak -- --real [--faults N] [--seed N]                three real processes under faults; soak-real.ts has its options`)
  process.exit(0)
}

type Said = Pick<SavedRun, 'seed' | 'violation' | 'statistics'> | { readonly line: string }

function simOptions(seed: string): SimOptions {
  return optionsFrom({ ...values, seed } as Parameters<typeof optionsFrom>[0])
}

/** One process of several: its seeds, one after the other. */
async function child(stride: number): Promise<void> {
  const options = simOptions(values.seed as string)
  let sent: Promise<void> = Promise.resolve()
  const say = (said: Said): void => {
    sent = new Promise(resolve => process.send?.(said, () => resolve()))
  }
  // A terminal tells all processes to end; the parent decides, and hangs up.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => {})
  process.once('disconnect', () => process.exit())
  for (let seed = options.seed; seed < options.seed + stride * options.runs; seed += stride) {
    const { failed } = await simulateSeeds(
      { ...options, seed, runs: 1 },
      line => say({ line }),
      // Before it is explained: whoever ends that still knows of the broken promise.
      ({ violation, statistics }) => say({ seed, violation: violation?.invariant ?? null, statistics })
    )
    if (failed === null) continue
    process.exitCode = 1
    break
  }
  await sent
  process.disconnect()
}

/** The commit, and whether something else was changed; without one the version. */
function buildName(): string {
  const here = fileURLToPath(new URL('.', import.meta.url))
  const args = ['-C', here, 'describe', '--always', '--exclude=*', '--abbrev=12', '--dirty']
  try {
    const env = { ...process.env, GIT_OPTIONAL_LOCKS: '0' }
    return execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], env }).trim()
  } catch {
    return JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version
  }
}

function readSaved(save: string | undefined, settings: Settings): SoakSum {
  if (save === undefined || !existsSync(save)) return sumOf([], settings)
  const text = readFileSync(save, 'utf8')
  // The last line of one that was killed may be torn.
  if (text !== '' && !text.endsWith('\n')) appendFileSync(save, '\n')
  return sumOf(text.split('\n'), settings)
}

async function parent(): Promise<void> {
  const { save } = values as { save?: string }
  const jobs = readOptions(() => countFrom('jobs', values.jobs as string))
  const {
    seed: asked,
    runs: _runs,
    shrinkTries: _tries,
    ...settings
  } = readOptions(() => simOptions((values.seed as string | undefined) ?? '1'))
  const sum = readSaved(save, settings)
  const seed = values.seed === undefined ? Math.max(asked, sum.lastSeed + 1) : asked
  const build = buildName()
  const children: ChildProcess[] = []
  const stop = (): void => {
    for (const each of children) if (each.connected) each.disconnect()
  }
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
  let isBroken = false
  const hear = (said: Said): void => {
    if ('line' in said) {
      process.stdout.write(`${said.line}\n`)
      return
    }
    const run: SavedRun = { build, settings, ...said }
    isBroken ||= run.violation !== null
    addRun(sum, run, settings)
    if (save !== undefined) appendFileSync(save, `${JSON.stringify(run)}\n`)
  }
  const ends = Array.from({ length: jobs }, (_, job) => {
    const args = [...process.argv.slice(2), `--seed=${seed + job}`, `--stride=${jobs}`]
    const started = fork(fileURLToPath(import.meta.url), args)
    children.push(started)
    started.on('message', hear)
    return endOf(started, `the process of the seeds ${seed + job}, ${seed + job + jobs}, ...`, stop)
  })
  const codes = await Promise.all(ends)
  process.stdout.write(`\n${soakReport(sum)}\n`)
  process.exitCode = isBroken || codes.some(code => code !== 0) ? 1 : 0
}

/** The first broken promise ends all, and so does a process that ends by itself: its seeds would never run. */
async function endOf(started: ChildProcess, name: string, stop: () => void): Promise<number> {
  // What it said last may be read after its end.
  const heard = new Promise(resolve => started.once('disconnect', resolve))
  const ended = new Promise<[number | null, string | null]>(resolve => started.once('exit', (...how) => resolve(how)))
  const [code, signal] = await ended
  await heard
  if (code === null) process.stdout.write(`${name} was ended by ${signal}\n`)
  if (code !== 0) stop()
  return code ?? 1
}

if (values.real === true) {
  // The real processes have a script of their own.
  const script = './soak-real.js'
  await import(script)
} else if (typeof values.stride === 'string') await child(Number(values.stride))
else await parent()
