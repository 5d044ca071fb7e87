// `moldau sim`: runs clusters in the simulator, a line for each, and says what they were worth. A broken promise ends it: with the
// seed, the promise, and the shortest list of faults that still breaks it.
import { MoldauError } from '../../protocol/failure.ts'
import { explain } from './explanation.ts'
import { FAULT_KINDS, type FaultKind, LEAST_FOR_LOSS, NEEDS_COPIES, parseKinds } from './faults.ts'
import { type RunOptions, type RunResult, simulate } from './run.ts'
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
  /** Of the faults that are drawn, by their numbers; all by default. */
  readonly only?: readonly number[]
  /** How many runs may be spent on making a failing list shorter. */
  readonly shrinkTries: number
}

export interface SimOutcome {
  readonly statistics: Statistics
  readonly failed: RunResult | null
}

export type Print = (line: string) => void

const HOUR_MS = 3_600_000

/** Runs seed after seed until one breaks a promise. `onEnd` hears of each run at once: an explanation takes its time. */
export async function simulateSeeds(
  o: SimOptions,
  print: Print,
  onEnd?: (run: RunResult) => void
): Promise<SimOutcome> {
  const statistics = noStatistics()
  for (let run = 0; run < o.runs; run++) {
    const options = optionsOf(o, o.seed + run)
    const result = await simulate(options)
    onEnd?.(result)
    addUp(statistics, result.statistics)
    print(
      `seed ${result.seed}: ${result.violation ? 'BROKEN' : 'ok'}, ${inOneLine(result.statistics)}, ${result.traceHash}`
    )
    if (result.violation !== null) {
      await explain(result, { options, hours: o.hours }, o.shrinkTries, print)
      return { statistics, failed: result }
    }
  }
  return { statistics, failed: null }
}

function optionsOf({ hours, brokers, kinds, everyMs, rest = 1, only }: SimOptions, seed: number): RunOptions {
  const every = everyMs === undefined ? {} : { everyMs }
  return { seed, ms: Math.round(hours * HOUR_MS), brokers, kinds, rest, ...every, ...(only ? { only } : {}) }
}

/** Longer than anybody waits for; what is longer than any number would never end. */
const HOURS_MOST = 10_000

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
  readonly only?: string | undefined
}): SimOptions {
  const brokers = wholeFrom('brokers', texts.brokers, 1)
  const runs = wholeFrom('runs', texts.runs, 1)
  const hours = numberFrom('hours', texts.hours, 0)
  if (hours > HOURS_MOST) throw refused(`--hours must be at most ${HOURS_MOST}, not ${texts.hours}`)
  const only = texts.only?.split(',').map(each => wholeFrom('only', each, 0))
  if (only && runs > 1) throw refused('--only names faults of one seed: it goes with --runs 1')
  return {
    ...{ seed: wholeFrom('seed', texts.seed, 0), runs, hours, brokers, kinds: kindsFrom(texts.faults, brokers) },
    everyMs: 1000 * numberFrom('every', texts.every, 0.1),
    rest: numberFrom('rest', texts.rest, 1),
    shrinkTries: wholeFrom('shrink', texts.shrink, 0),
    ...(only ? { only } : {})
  }
}

function kindsFrom(text: string, brokers: number): FaultKind[] {
  const { kinds, unknown } = parseKinds(text)
  if (unknown.length > 0) {
    throw refused(`no fault has the name ${unknown.join(', ')}; there are ${FAULT_KINDS.join(', ')}, all, none`)
  }
  if (brokers < LEAST_FOR_LOSS && kinds.length > 0 && kinds.every(kind => NEEDS_COPIES.has(kind))) {
    throw refused(`--faults ${text}: a disk is lost only with --brokers ${LEAST_FOR_LOSS} or more: no fault is left`)
  }
  return kinds
}

function wholeFrom(name: string, text: string, least: number): number {
  const value = numberFrom(name, text, least)
  if (!Number.isSafeInteger(value)) throw refused(`--${name} must be a whole number, not ${text}`)
  return value
}

function numberFrom(name: string, text: string, least: number): number {
  const value = text.trim() === '' ? Number.NaN : Number(text)
  if (!(value >= least && Number.isFinite(value))) {
    throw refused(`--${name} must be a number of at least ${least}, not '${text}'`)
  }
  return value
}

function refused(why: string): MoldauError {
  return new MoldauError('ERR_CONFIG', why)
}

/** The whole command; gives the exit code. */
export async function sim(options: SimOptions, print: Print): Promise<number> {
  const { statistics, failed } = await simulateSeeds(options, print)
  print('')
  print(inFull(statistics))
  return failed === null ? 0 : 1
}
