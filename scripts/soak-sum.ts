// What many runs of the simulator prove together. A run counts once, and only if it kept every promise, had the options that
// are asked for, and worked under load; every other one is named with the reason. What the whole proof asks for is compared
// here, so that nobody has to read it from the numbers.
import { FAULT_KINDS } from '../clients/simulate/faults.ts'
import { addUp, inFull, noStatistics, type Statistics } from '../clients/simulate/statistics.ts'

/** What changes a run besides its seed. */
export type Settings = Readonly<Record<string, unknown>>

/** A line of the file of `--save`. */
export interface SavedRun {
  readonly seed: number
  /** The commit, or the version, that ran. */
  readonly build: string
  readonly settings: Settings
  /** The promise that was broken. */
  readonly violation: string | null
  readonly statistics: Statistics
}

export interface SoakSum {
  /** Of the runs that count. */
  readonly statistics: Statistics
  readonly seeds: Set<number>
  /** Build -> simulated milliseconds. */
  readonly builds: Map<string, number>
  /** `seed N: promise`, whatever its options: one of these, and nothing is proven. */
  readonly violations: string[]
  /** Why runs do not count -> how many of them. */
  readonly left: Map<string, number>
  /** The greatest seed with these settings; -1: none. */
  lastSeed: number
}

/** Of the simulated time; a run below counts for nothing. */
const LOAD_LEAST = 0.2
const HOUR_MS = 3_600_000

/** What the whole proof asks for. */
const LEAST = { hours: 1000, ackedRecords: 10_000_000, faults: 100_000, ofEachKind: 1000, ofEachPair: 100 }

/** `lines` of a file, as many as there are; what cannot be read there is counted as such. */
export function sumOf(lines: Iterable<string>, settings: Settings): SoakSum {
  const sum: SoakSum = {
    ...{ statistics: noStatistics(), seeds: new Set(), builds: new Map(), violations: [], left: new Map() },
    lastSeed: -1
  }
  for (const line of lines) if (line !== '') addRun(sum, runFrom(line), settings)
  return sum
}

export function addRun(sum: SoakSum, run: SavedRun | null, settings: Settings): void {
  if (run?.violation) sum.violations.push(`seed ${run.seed}: ${run.violation}`)
  const isSame = run !== null && sameSettings(run.settings, settings)
  if (isSame) sum.lastSeed = Math.max(sum.lastSeed, run.seed)
  const why = whyLeft(sum, run, isSame)
  if (why !== null || run === null) {
    if (why !== null) sum.left.set(why, (sum.left.get(why) ?? 0) + 1)
    return
  }
  sum.seeds.add(run.seed)
  sum.builds.set(run.build, (sum.builds.get(run.build) ?? 0) + run.statistics.simulatedMs)
  addUp(sum.statistics, run.statistics)
}

function whyLeft(sum: SoakSum, run: SavedRun | null, isSame: boolean): string | null {
  if (run === null) return 'not a whole line'
  if (run.violation !== null) return 'a broken promise'
  if (!isSame) return 'other options'
  if (sum.seeds.has(run.seed)) return 'a seed that was counted before'
  const { underLoadMs, simulatedMs } = run.statistics
  return simulatedMs > 0 && underLoadMs >= LOAD_LEAST * simulatedMs
    ? null
    : `less than ${100 * LOAD_LEAST} % under load`
}

/** Null where a line is torn, or is of a form that says neither how nor whether its run ended well. */
function runFrom(line: string): SavedRun | null {
  let run: Partial<SavedRun> | null
  try {
    run = JSON.parse(line)
  } catch {
    return null
  }
  const { seed, build, settings, violation, statistics } = run ?? {}
  const isTold = violation === null || (typeof violation === 'string' && violation !== '')
  if (!Number.isSafeInteger(seed) || typeof build !== 'string' || !isTold || !settings || !statistics) return null
  // A kind that there was not yet has never struck.
  const faults = { ...noStatistics().faults, ...statistics.faults }
  return { seed: seed as number, build, settings, violation, statistics: { ...statistics, faults } }
}

function sameSettings(one: Settings, other: Settings): boolean {
  const text = (settings: Settings) => JSON.stringify(Object.entries(settings).sort(([a], [b]) => (a < b ? -1 : 1)))
  return text(one) === text(other)
}

/** All that is known, and in the last line what of the proof holds and what is short. */
export function soakReport(sum: SoakSum): string {
  const lines = [inFull(sum.statistics, FAULT_KINDS)]
  for (const [build, ms] of sum.builds) lines.push(`build ${build}: ${(ms / HOUR_MS).toFixed(2)} simulated hours`)
  for (const [why, count] of sum.left) lines.push(`${count} ${count === 1 ? 'run does' : 'runs do'} not count: ${why}`)
  for (const each of sum.violations) lines.push(`BROKEN ${each}`)
  return [...lines, proofLine(sum)].join('\n')
}

export function proofLine(sum: SoakSum): string {
  const { simulatedMs, ackedRecords, faults, overlaps, underLoadMs } = sum.statistics
  const kinds = FAULT_KINDS.map(kind => [kind, faults[kind]] as const)
  const pairs = FAULT_KINDS.flatMap((one, index) =>
    FAULT_KINDS.slice(index + 1).map(other => [`${one} ${other}`, overlaps[`${one} ${other}`] ?? 0] as const)
  )
  const struck = kinds.reduce((count, [, each]) => count + each, 0)
  const percent = simulatedMs === 0 ? 0 : (100 * underLoadMs) / simulatedMs
  const goals = [
    goal('simulated hours', simulatedMs / HOUR_MS, LEAST.hours),
    goal('records acked', ackedRecords, LEAST.ackedRecords),
    goal('faults', struck, LEAST.faults),
    goalOfEach('kind', kinds, LEAST.ofEachKind),
    goalOfEach('pair', pairs, LEAST.ofEachPair),
    goal('% under load', percent, 100 * LOAD_LEAST),
    { holds: sum.violations.length === 0, text: `${sum.violations.length} broken promises` }
  ]
  const told = (holds: boolean) => goals.filter(each => each.holds === holds).map(each => each.text)
  const short = told(false)
  if (short.length === 0) return `PROOF: all of it holds: ${told(true).join('; ')}`
  return `PROOF: short: ${short.join('; ')} | holds: ${told(true).join('; ') || 'nothing'}`
}

interface Goal {
  readonly holds: boolean
  readonly text: string
}

function goal(name: string, value: number, least: number): Goal {
  const shown = Math.floor(value * 100) / 100
  return { holds: value >= least, text: `${shown} ${name} (${least})` }
}

function goalOfEach(name: string, counts: readonly (readonly [string, number])[], least: number): Goal {
  const [rarest, count] = counts.reduce((one, other) => (other[1] < one[1] ? other : one))
  const short = counts.filter(([, each]) => each < least).length
  const of = short === 0 ? '' : `, ${short} of ${counts.length} short`
  return { holds: short === 0, text: `each ${name} ${count} times (${least}; rarest ${rarest}${of})` }
}
