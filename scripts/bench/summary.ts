// From rounds to figures: medians with their spread, costs per unit, and the ratio of two subjects.
import type { Goal, Measured, Row } from './workload.ts'

/** One figure of all rounds. */
export interface Figure {
  readonly median: number
  readonly min: number
  readonly max: number
}

export type Figures = Readonly<Record<string, Figure>>

export function figureOf(numbers: readonly number[]): Figure {
  const sorted = numbers.filter(each => !Number.isNaN(each)).sort((a, b) => a - b)
  const half = sorted.length / 2
  const median =
    sorted.length % 2 === 1
      ? sorted[Math.floor(half)]
      : ((sorted[half - 1] ?? Number.NaN) + (sorted[half] ?? Number.NaN)) / 2
  return { median: median ?? Number.NaN, min: sorted[0] ?? Number.NaN, max: sorted.at(-1) ?? Number.NaN }
}

/** What can be told of any round; NaN where it means nothing. */
const DERIVED: Readonly<Record<string, (of: Measured) => number>> = {
  recordsPerSecond: of => of.records / of.seconds,
  megabytesPerSecond: of => of.bytes / of.seconds / 1e6,
  requestsPerSecond: of => of.requests / of.seconds,
  cpuMicrosPerRecord: of => (of.cpuSeconds / of.records) * 1e6,
  cpuMicrosPerRequest: of => (of.cpuSeconds / of.requests) * 1e6,
  cpuSecondsPerGigabyte: of => (of.cpuSeconds / of.bytes) * 1e9,
  cpuCores: of => of.cpuSeconds / of.seconds,
  loadCpuCores: of => of.loadCpuSeconds / of.seconds,
  p50Ms: of => of.p50Ms,
  p99Ms: of => of.p99Ms,
  p999Ms: of => of.p999Ms,
  maxMs: of => of.maxMs,
  residentMegabytes: of => of.residentMegabytes,
  peakMegabytes: of => of.peakMegabytes,
  writtenPerByte: of => of.writtenBytes / of.bytes,
  wirePerByte: of => of.wireBytes / of.bytes
}

export function summaryOf(rounds: readonly Measured[]): Figures {
  const names = new Set(rounds.flatMap(each => Object.keys(each.extra)))
  const figures = Object.entries(DERIVED).map(([name, of]) => [name, figureOf(rounds.map(of))] as const)
  const extra = [...names].map(name => [name, figureOf(rounds.map(each => each.extra[name] ?? Number.NaN))] as const)
  return Object.fromEntries([...figures, ...extra].filter(([, each]) => Number.isFinite(each.median)))
}

/** The figure that a row's rate, and its CPU, is compared by. */
export function rateOf(row: Pick<Row, 'unit'>): string {
  return { records: 'recordsPerSecond', requests: 'requestsPerSecond', bytes: 'megabytesPerSecond' }[row.unit]
}

export function costOf(row: Pick<Row, 'unit'>): string {
  return row.unit === 'requests' ? 'cpuMicrosPerRequest' : 'cpuSecondsPerGigabyte'
}

/** The first by the second, of the medians: above 1 for rates and below 1 for costs the first is better. */
export function ratiosOf(first: Figures, second: Figures): Record<string, number> {
  const both = Object.entries(first).flatMap(([name, { median }]) => {
    const other = second[name]?.median
    return other === undefined || other === 0 ? [] : [[name, median / other] as const]
  })
  return Object.fromEntries(both)
}

export interface Verdict {
  readonly isMet: boolean
  /** In words. */
  readonly limits: readonly string[]
}

const SHORT: Readonly<Record<string, string>> = { p50: 'p50Ms', p99: 'p99Ms', p999: 'p999Ms' }

/** Null where there is no goal, or nothing to compare with. */
export function verdictOf(
  row: Pick<Row, 'unit'> & { readonly goal?: Goal },
  ratios: Readonly<Record<string, number>>,
  own: Figures = {}
): Verdict | null {
  const { atLeast = {}, atMost = {}, within = {} } = row.goal ?? {}
  const ratioOf = (name: string) =>
    ratios[name === 'rate' ? rateOf(row) : name === 'cpu' ? costOf(row) : (SHORT[name] ?? name)] ?? Number.NaN
  const checks = [
    ...Object.entries(atLeast).map(([name, limit]) => {
      const reached = ratioOf(name)
      return { text: `${name} >= ${limit}x`, reached, isMet: reached >= limit }
    }),
    ...Object.entries(atMost).map(([name, limit]) => {
      const reached = ratioOf(name)
      return { text: `${name} <= ${limit}x`, reached, isMet: reached <= limit }
    }),
    ...Object.entries(within).map(([name, limit]) => {
      const reached = own[name]?.median ?? Number.NaN
      return { text: `${name} <= ${limit}`, reached, isMet: reached <= limit }
    })
  ]
  if (checks.length === 0 || checks.every(each => Number.isNaN(each.reached))) return null
  return { isMet: checks.every(each => each.isMet), limits: checks.map(each => each.text) }
}
