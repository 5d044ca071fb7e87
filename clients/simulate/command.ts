// `moldau sim`: runs clusters in the simulator, a line for each, and says what they were worth. A broken promise ends it: with the
// seed, the promise, and the shortest list of faults that still breaks it.
import { MoldauError } from '../../protocol/failure.ts'
import { FAULT_KINDS, type Fault, type FaultKind, parseKinds, shownFault } from './faults.ts'
import { type RunOptions, type RunResult, simulate } from './run.ts'
import { shrink } from './shrink.ts'
import { addUp, inFull, inOneLine, noStatistics, type Statistics } from './statistics.ts'

export interface SimOptions {
  readonly seed: number
  readonly runs: number
  /** Of simulated time, for each run. */
  readonly hours: number
  readonly brokers: number
  readonly kinds: readonly FaultKind[]
  readonly everyMs?: number
  readonly rest?: number
  /** How many runs may be spent on making a failing list shorter. */
  readonly shrinkTries: number
}

export interface SimOutcome {
  readonly statistics: Statistics
  readonly failed: RunResult | null
}

export type Print = (line: string) => void

const HOUR_MS = 3_600_000

/** Runs seed after seed until one breaks a promise. `isOver` is asked before each. */
export async function simulateSeeds(o: SimOptions, print: Print, isOver = (): boolean => false): Promise<SimOutcome> {
  const statistics = noStatistics()
  for (let run = 0; run < o.runs && !isOver(); run++) {
    const options = optionsOf(o, o.seed + run)
    const result = await simulate(options)
    addUp(statistics, result.statistics)
    print(
      `seed ${result.seed}: ${result.violation ? 'BROKEN' : 'ok'}, ${inOneLine(result.statistics)}, ${result.traceHash}`
    )
    if (result.violation !== null) {
      await explain(result, options, o.shrinkTries, print)
      return { statistics, failed: result }
    }
  }
  return { statistics, failed: null }
}

function optionsOf({ hours, brokers, kinds, everyMs, rest = 1 }: SimOptions, seed: number): RunOptions {
  const every = everyMs === undefined ? {} : { everyMs }
  return { seed, ms: Math.round(hours * HOUR_MS), brokers, kinds, rest, ...every }
}

async function explain(result: RunResult, options: RunOptions, tries: number, print: Print): Promise<void> {
  const violation = result.violation as NonNullable<RunResult['violation']>
  print(`  ${violation.message}`)
  print(
    `  at ${(result.atMs / 1000).toFixed(3)} s of the run with seed ${result.seed}; ${result.faults.length} faults were drawn`
  )
  if (tries === 0) return
  const before = result.faults.filter(each => each.atMs <= result.atMs)
  const fails = async (faults: readonly Fault[]): Promise<boolean> => {
    const again = await simulate({ ...options, faults })
    return again.violation?.invariant === violation.invariant
  }
  const shrunk = await shrink(before, fails, tries)
  print(`  the shortest list of faults that was found in ${shrunk.tries} more runs:`)
  for (const fault of shrunk.faults) print(`    ${shownFault(fault)}`)
  if (shrunk.faults.length === 0) print('    none: it fails without any fault')
}

/** Texts from the command line to options; throws a line for people. */
export function optionsFrom(texts: {
  readonly seed: string
  readonly runs: string
  readonly hours: string
  readonly brokers: string
  readonly faults: string
  readonly every: string
  readonly rest: string
  readonly shrink: string
}): SimOptions {
  const { kinds, unknown } = parseKinds(texts.faults)
  if (unknown.length > 0) {
    throw new MoldauError(
      'ERR_CONFIG',
      `no fault has the name ${unknown.join(', ')}; there are ${FAULT_KINDS.join(', ')}, all, none`
    )
  }
  return {
    seed: numberFrom('seed', texts.seed, 0),
    runs: numberFrom('runs', texts.runs, 1),
    hours: numberFrom('hours', texts.hours, 0),
    brokers: numberFrom('brokers', texts.brokers, 1),
    kinds,
    everyMs: 1000 * numberFrom('every', texts.every, 0.1),
    rest: numberFrom('rest', texts.rest, 1),
    shrinkTries: numberFrom('shrink', texts.shrink, 0)
  }
}

function numberFrom(name: string, text: string, least: number): number {
  const value = Number(text)
  if (!(value >= least))
    throw new MoldauError('ERR_CONFIG', `--${name} must be a number of at least ${least}, not ${text}`)
  return value
}

/** The whole command; gives the exit code. */
export async function sim(options: SimOptions, print: Print): Promise<number> {
  const { statistics, failed } = await simulateSeeds(options, print)
  print('')
  print(inFull(statistics))
  return failed === null ? 0 : 1
}
