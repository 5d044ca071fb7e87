// What the benchmark says: a table on a terminal, JSON, or the README's table in markdown. Figures come from summary.ts.
import { costOf, type Figure, type Figures, rateOf, ratiosOf, verdictOf } from './summary.ts'
import type { Row } from './workload.ts'

export interface RowResult {
  readonly row: Row
  /** By the subject's name, in order; what was left out is not there. */
  readonly figures: ReadonlyMap<string, Figures>
  readonly notes: readonly string[]
}

const ALWAYS_TOLD = new Set([
  ...['recordsPerSecond', 'megabytesPerSecond', 'requestsPerSecond', 'cpuMicrosPerRecord', 'cpuMicrosPerRequest'],
  ...['cpuSecondsPerGigabyte', 'cpuCores', 'loadCpuCores', 'p50Ms', 'p99Ms', 'p999Ms', 'maxMs'],
  ...['residentMegabytes', 'peakMegabytes', 'writtenPerByte', 'wirePerByte']
])

/** Three digits that count. */
export function short(number: number): string {
  if (!Number.isFinite(number)) return '-'
  const size = Math.abs(number)
  if (size >= 1e6) return `${(number / 1e6).toFixed(size >= 1e7 ? 1 : 2)} M`
  if (size >= 1e4) return `${(number / 1e3).toFixed(size >= 1e5 ? 0 : 1)} K`
  return number.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2)
}

const withSpread = (of: Figure | undefined): string =>
  of === undefined
    ? ''
    : of.min === of.max
      ? short(of.median)
      : `${short(of.median)} (${short(of.min)}-${short(of.max)})`

const extrasOf = (figures: Figures): string =>
  Object.entries(figures)
    .filter(([name]) => !ALWAYS_TOLD.has(name))
    .map(([name, figure]) => `${name} ${short(figure.median)}`)
    .join(', ')

/** Rates of rows whose rate is given say nothing; their latency does. */
function cellsOf({ row }: RowResult, figures: Figures): string[] {
  const unit = row.unit === 'bytes' ? 'MB/s' : row.unit === 'records' ? 'rec/s' : 'req/s'
  const cost = row.unit === 'requests' ? 'us' : 's/GB'
  const number = (name: string) => (figures[name] === undefined ? '' : short(figures[name].median))
  const rate = withSpread(figures[rateOf(row)])
  const cpu = withSpread(figures[costOf(row)])
  return [
    rate && `${rate} ${unit}`,
    cpu && `${cpu} ${cost}`,
    ...['p50Ms', 'p99Ms', 'p999Ms', 'peakMegabytes', 'writtenPerByte', 'cpuCores', 'loadCpuCores'].map(number),
    extrasOf(figures)
  ]
}

const HEAD = ['row', 'broker', 'rate', 'CPU', 'p50 ms', 'p99', 'p99.9', 'peak MB', 'disk/B', 'cores', 'load', 'more']

export function tableOf(results: readonly RowResult[]): string {
  const lines: string[][] = [HEAD]
  for (const result of results) {
    for (const [name, figures] of result.figures) lines.push([result.row.name, name, ...cellsOf(result, figures)])
    const ratios = ratiosBetween(result)
    if (ratios !== null) lines.push(['', 'ratio', ...ratioCells(result.row, ratios, firstOf(result))])
  }
  const widths = HEAD.map((_, column) => Math.max(...lines.map(line => (line[column] ?? '').length)))
  return lines
    .map(line =>
      line
        .map((cell, column) => (column === 11 ? cell : cell.padEnd(widths[column] ?? 0)))
        .join('  ')
        .trimEnd()
    )
    .join('\n')
}

function ratioCells(row: Row, ratios: Record<string, number>, own: Figures): string[] {
  const times = (name: string) => (ratios[name] === undefined ? '' : `${ratios[name].toFixed(2)}x`)
  const verdict = verdictOf(row, ratios, own)
  const goal = verdict === null ? '' : `${verdict.isMet ? 'goal met' : 'goal not met'}: ${verdict.limits.join(', ')}`
  const others = Object.keys(ratios)
    .filter(name => !ALWAYS_TOLD.has(name))
    .map(name => `${name} ${times(name)}`)
  return [
    ...[rateOf(row), costOf(row), 'p50Ms', 'p99Ms', 'p999Ms', 'peakMegabytes', '', 'cpuCores', ''].map(times),
    [goal, ...others].filter(each => each !== '').join('; ')
  ]
}

const firstOf = ({ figures }: RowResult): Figures => [...figures.values()][0] ?? {}

/** The first subject by the second. A floor is compared with nobody. */
export function ratiosBetween({ figures }: RowResult): Record<string, number> | null {
  const [first, second] = [...figures].filter(([name]) => !name.startsWith('floor'))
  return first === undefined || second === undefined ? null : ratiosOf(first[1], second[1])
}

const rounded = (number: number): number => Number(number.toPrecision(4))

export function jsonOf(results: readonly RowResult[], names: readonly string[]): string {
  const of = (figures: Figures) => ({
    ...Object.fromEntries(Object.entries(figures).map(([name, { median }]) => [name, rounded(median)])),
    spread: Object.fromEntries(
      Object.entries(figures).map(([name, { min, max }]) => [name, [rounded(min), rounded(max)]])
    )
  })
  const bySubject = (name: string) =>
    Object.fromEntries(
      results.flatMap(({ row, figures }) => {
        const found = figures.get(name)
        return found === undefined ? [] : [[row.name, of(found)] as const]
      })
    )
  const notes = Object.fromEntries(
    results.filter(each => each.notes.length > 0).map(each => [each.row.name, each.notes])
  )
  if (names.length === 1)
    return JSON.stringify(
      { ...bySubject(names[0] ?? ''), ...(Object.keys(notes).length > 0 ? { notes } : {}) },
      null,
      2
    )
  const ratios = Object.fromEntries(
    results.flatMap(each => {
      const found = ratiosBetween(each)
      if (found === null) return []
      const verdict = verdictOf(each.row, found, firstOf(each))
      const numbers = Object.fromEntries(Object.entries(found).map(([name, ratio]) => [name, rounded(ratio)]))
      return [[each.row.name, { ...numbers, ...(verdict === null ? {} : { goalMet: verdict.isMet }) }] as const]
    })
  )
  return JSON.stringify({ ...Object.fromEntries(names.map(name => [name, bySubject(name)])), ratios, notes }, null, 2)
}

/** What one subject reached, in the words of the README's table. */
function reached(row: Row, figures: Figures | undefined): string {
  if (figures === undefined) return '-'
  if (row.shows !== undefined) {
    return row.shows
      .flatMap(({ name, unit }) => (figures[name] === undefined ? [] : [`${short(figures[name].median)} ${unit}`]))
      .join(', ')
  }
  const rate = figures[rateOf(row)]?.median ?? Number.NaN
  const cpu = figures[costOf(row)]?.median ?? Number.NaN
  const unit = row.unit === 'bytes' ? 'MB/s' : row.unit === 'records' ? 'records/s' : '/s'
  return (
    `${short(rate)} ${unit}`.replace(' /s', '/s') +
    (Number.isFinite(cpu) ? `, ${short(cpu)} ${row.unit === 'requests' ? 'us' : 's/GB'}` : '')
  )
}

/** The rows with a goal, in the README's words. */
export function markdownOf(results: readonly RowResult[], names: readonly string[]): string {
  const [first = '', second = ''] = names.filter(name => !name.startsWith('floor'))
  const lines = results
    .filter(({ row }) => row.goal !== undefined)
    .map(result => {
      const ratios = ratiosBetween(result)
      const verdict = verdictOf(result.row, ratios ?? {}, firstOf(result))
      const times = (name: string) => (ratios?.[name] === undefined ? '-' : ratios[name].toFixed(2))
      const label = result.row.goal?.label ?? result.row.name
      const keys = result.row.ratios ?? { rate: rateOf(result.row), cpu: costOf(result.row) }
      const goal = verdict === null ? 'reported' : `${verdict.isMet ? 'met' : 'not met'} (${verdict.limits.join(', ')})`
      const cells = [
        label,
        reached(result.row, result.figures.get(first)),
        reached(result.row, result.figures.get(second)),
        times(keys.rate),
        times(keys.cpu),
        goal
      ]
      return `| ${cells.join(' | ')} |`
    })
  const head = `| workload | ${first} | ${second || '-'} | rate (or time), ratio | CPU, ratio | goal |\n|---|---|---|---|---|---|`
  return [head, ...lines].join('\n')
}

/** What was left out, or cut short. */
export function notesOf(results: readonly RowResult[]): string {
  return results.flatMap(({ row, notes }) => notes.map(note => `${row.name}: ${note.split('\n')[0]}`)).join('\n')
}
