// What the benchmark of three brokers says: one line for each row, on a terminal, as markdown, or as JSON.
import type { Replicated } from './bench-cluster-load.ts'

export interface Gaps {
  readonly rounds: number
  readonly medianMs: number
  readonly p99Ms: number
  readonly maxMs: number
}

export interface Idle {
  /** Of one core, all three together. */
  readonly cpuPercent: number
}

export type Figures = Replicated | Gaps | Idle

export interface ClusterResult {
  readonly subject: string
  readonly row: string
  readonly figures: Figures
}

/** Of one subject over its whole run. */
export interface Fencings {
  readonly subject: string
  /** Brokers that were taken for dead although nothing was done to them; null where nobody can tell. */
  readonly unexplained: readonly string[] | null
}

export function gapsOver(each: readonly number[], rounds: number): Gaps {
  const sorted = [...each].sort((a, b) => a - b)
  const at = (quantile: number): number =>
    Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * quantile))] ?? Number.NaN)
  return { rounds, medianMs: at(0.5), p99Ms: at(0.99), maxMs: at(1) }
}

const HEAD = ['row', 'broker', 'rate', 'CPU', 'median ms', 'p99 ms', 'max ms', 'rounds']

export function markdownOf(results: readonly ClusterResult[], fencings: readonly Fencings[]): string {
  const line = (cells: readonly (string | number)[]): string => `| ${cells.join(' | ')} |`
  const rows = inOrder(results).map(each => line([each.row, each.subject, ...cellsOf(each.figures)]))
  return [line(HEAD), line(HEAD.map(() => '---')), ...rows, '', ...fencings.map(fencingsOf)].join('\n')
}

export function tableOf(results: readonly ClusterResult[], fencings: readonly Fencings[]): string {
  const lines = [HEAD, ...inOrder(results).map(each => [each.row, each.subject, ...cellsOf(each.figures).map(String)])]
  const widths = HEAD.map((_, column) => Math.max(...lines.map(cells => (cells[column] ?? '').length)))
  const told = lines.map(cells =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd()
  )
  return [...told, '', ...fencings.map(fencingsOf)].join('\n')
}

function fencingsOf({ subject, unexplained }: Fencings): string {
  if (unexplained === null) return `${subject}: its fencings are not counted`
  const which = unexplained.length === 0 ? '' : ` (${unexplained.join('; ')})`
  return `${subject}: fenced without a fault: ${unexplained.length}${which}`
}

/** Rows beside each other, whoever was measured first. */
function inOrder(results: readonly ClusterResult[]): ClusterResult[] {
  const rows = [...new Set(results.map(each => each.row))]
  return rows.flatMap(row => results.filter(each => each.row === row))
}

function cellsOf(figures: Figures): (string | number)[] {
  if ('cpuPercent' in figures) return ['', `${figures.cpuPercent} % of a core`, '', '', '', '']
  if ('rounds' in figures) return ['', '', figures.medianMs, figures.p99Ms, figures.maxMs, figures.rounds]
  const { recordsPerSecond, cpuSecondsPerGigabyte, cpuMicrosPerRecord, p50Ms, p99Ms } = figures
  const cpu = `${cpuSecondsPerGigabyte} s/GB, ${cpuMicrosPerRecord} us a record`
  return [`${recordsPerSecond} records/s`, cpu, p50Ms, p99Ms, '', '']
}
