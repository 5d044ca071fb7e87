// `npm run soak`: runs until told (Ctrl-C), and keeps count of what was proven. With `--sim` (the default) simulated clusters,
// seed after seed, one process per core; each run's numbers are added to FILE of `--save`, so that hours can be summed
// over several days. With `--real` real processes under real faults (soak-real.ts).
import { type ChildProcess, fork } from 'node:child_process'
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { optionsFrom, simulateSeeds } from '../clients/simulate/command.ts'
import { addUp, inFull, noStatistics, type Statistics } from '../clients/simulate/statistics.ts'

const { values } = parseArgs({
  options: {
    sim: { type: 'boolean', default: false },
    real: { type: 'boolean', default: false },
    seed: { type: 'string', default: '1' },
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
})

if (values.help) {
  console.log(`npm run soak -- [--sim] [--seed N] [--runs N] [--hours H] [--brokers N] [--faults KIND,KIND] [--every SECONDS] [--rest N]
                [--shrink TRIES] [--jobs N] [--save FILE]     simulated clusters, seed after seed; Ctrl-C ends with the sum
npm run soak -- --real [--faults N] [--seed N]                three real processes under faults; soak-real.ts has its options`)
  process.exit(0)
}

type Said = { readonly statistics: Statistics; readonly seed: number } | { readonly line: string }

/** One process of several: its seeds, one after the other. */
async function child(stride: number): Promise<void> {
  const options = optionsFrom(values as Parameters<typeof optionsFrom>[0])
  const say = (said: Said): void => {
    process.send?.(said)
  }
  process.once('disconnect', () => process.exit(0))
  for (let seed = options.seed; seed < options.seed + stride * options.runs; seed += stride) {
    const { statistics, failed } = await simulateSeeds({ ...options, seed, runs: 1 }, line => say({ line }))
    say({ statistics, seed })
    if (failed !== null) process.exit(1)
  }
  process.disconnect()
}

async function parent(): Promise<void> {
  const { save, jobs, seed } = values as { save?: string; jobs: string; seed: string }
  const sum = noStatistics()
  if (save !== undefined && existsSync(save)) {
    for (const line of readFileSync(save, 'utf8').split('\n')) if (line !== '') addUp(sum, JSON.parse(line).statistics)
  }
  const children: ChildProcess[] = []
  const ends: Promise<number>[] = []
  const stop = (): void => {
    for (const each of children) if (each.connected) each.disconnect()
  }
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
  for (let job = 0; job < Number(jobs); job++) {
    const args = [...process.argv.slice(2), `--seed=${Number(seed) + job}`, `--stride=${jobs}`]
    const started = fork(fileURLToPath(import.meta.url), args)
    children.push(started)
    started.on('message', (said: Said) => {
      if ('line' in said) process.stdout.write(`${said.line}\n`)
      else {
        addUp(sum, said.statistics)
        if (save !== undefined) appendFileSync(save, `${JSON.stringify(said)}\n`)
      }
    })
    const end = new Promise<number>(resolve => started.once('exit', code => resolve(code ?? 0)))
    ends.push(end)
    // The first broken promise ends all.
    void end.then(code => {
      if (code !== 0) stop()
    })
  }
  const codes = await Promise.all(ends)
  process.stdout.write(`\n${inFull(sum)}\n`)
  process.exitCode = codes.some(code => code === 1) ? 1 : 0
}

if (values.real === true) {
  // The real processes have a script of their own.
  const script = './soak-real.js'
  await import(script)
} else if (typeof values.stride === 'string') await child(Number(values.stride))
else await parent()
