// What a run was worth: how often each kind of fault struck, which kinds met, how many records were acked, and how long a
// cluster worked under load. Numbers of several runs are added up; a run that did nothing proves nothing.
import { FAULT_KINDS, type Fault, type FaultKind } from './faults.ts'

/** A fault as it happened, in milliseconds of the run. */
export interface Struck {
  readonly kind: FaultKind
  /** Index of the node, or of the first one. */
  readonly node: number
  readonly fromMs: number
  /** Infinity: it is not over. */
  readonly toMs: number
  /** What was drawn; it may have struck another node. */
  readonly fault?: Fault
}

export interface Statistics {
  runs: number
  simulatedMs: number
  events: number
  /** Of this machine. */
  cpuMs: number
  ackedRecords: number
  ackedAttempts: number
  refusedAttempts: number
  unknownAttempts: number
  committedBatches: number
  elections: number
  quorumEpochs: number
  generations: number
  /** What an operator was answered without an error. */
  operations: number
  /** Brokers that could not start after a bit had flipped, and got an empty disk. */
  disksReplaced: number
  /** Of the metadata, by all brokers. */
  snapshotsWritten: number
  /** Of the metadata, by brokers whose log ended before the leader's begins. */
  snapshotsFetched: number
  /** Time in which clients had work, a leader was there, and an ack came within the last seconds. */
  underLoadMs: number
  readonly faults: Record<FaultKind, number>
  /** `kind kind`, in the order of FAULT_KINDS. */
  readonly overlaps: Record<string, number>
}

export function noStatistics(): Statistics {
  return {
    ...{ runs: 0, simulatedMs: 0, events: 0, cpuMs: 0 },
    ...{ ackedRecords: 0, ackedAttempts: 0, refusedAttempts: 0, unknownAttempts: 0 },
    ...{ committedBatches: 0, elections: 0, quorumEpochs: 0, generations: 0, disksReplaced: 0, underLoadMs: 0 },
    ...{ operations: 0, snapshotsWritten: 0, snapshotsFetched: 0 },
    faults: Object.fromEntries(FAULT_KINDS.map(kind => [kind, 0])) as Record<FaultKind, number>,
    overlaps: {}
  }
}

export function countFaults(statistics: Statistics, struck: readonly Struck[]): void {
  const sorted = [...struck].sort((a, b) => a.fromMs - b.fromMs)
  for (const [index, first] of sorted.entries()) {
    statistics.faults[first.kind]++
    for (let at = index + 1; at < sorted.length; at++) {
      const second = sorted[at] as Struck
      if (second.fromMs > first.toMs) break
      if (second.kind === first.kind) continue
      const pair = pairOf(first.kind, second.kind)
      statistics.overlaps[pair] = (statistics.overlaps[pair] ?? 0) + 1
    }
  }
}

function pairOf(one: FaultKind, other: FaultKind): string {
  return FAULT_KINDS.indexOf(one) < FAULT_KINDS.indexOf(other) ? `${one} ${other}` : `${other} ${one}`
}

export function addUp(sum: Statistics, one: Statistics): void {
  for (const [key, value] of Object.entries(one)) {
    if (typeof value === 'number') (sum as unknown as Record<string, number>)[key] = numberAt(sum, key) + value
  }
  for (const kind of FAULT_KINDS) sum.faults[kind] += one.faults[kind]
  for (const [pair, count] of Object.entries(one.overlaps)) sum.overlaps[pair] = (sum.overlaps[pair] ?? 0) + count
}

function numberAt(statistics: Statistics, key: string): number {
  return (statistics as unknown as Record<string, number>)[key] ?? 0
}

export function countOf(statistics: Statistics): number {
  return Object.values(statistics.faults).reduce((sum, count) => sum + count, 0)
}

/** One line, for each run. */
export function inOneLine(s: Statistics): string {
  const seconds = s.simulatedMs / 1000
  return (
    `${(seconds / 60).toFixed(1)} min, ${countOf(s)} faults, ${s.ackedRecords} records acked, ` +
    `${percent(s.underLoadMs, s.simulatedMs)} under load, ${s.elections} elections, ${s.quorumEpochs} quorum epochs, ` +
    `${s.generations} generations, ${s.operations} operations, ${s.snapshotsWritten} snapshots written and ${s.snapshotsFetched} fetched, ` +
    `${s.events} events, ${(s.cpuMs / Math.max(1, seconds)).toFixed(2)} ms/s`
  )
}

/** What a proof of many hours is measured by; of `kinds` also those that never struck. */
export function inFull(s: Statistics, kinds = FAULT_KINDS.filter(kind => s.faults[kind] > 0)): string {
  const width = Math.max(0, ...kinds.map(kind => kind.length))
  const pairs = kinds.flatMap((one, index) => kinds.slice(index + 1).map(other => `${one} ${other}`))
  const rarest = pairs.reduce<[string, number]>(
    (least, pair) => ((s.overlaps[pair] ?? 0) < least[1] ? [pair, s.overlaps[pair] ?? 0] : least),
    ['', Number.POSITIVE_INFINITY]
  )
  const lines = [
    `${s.runs} runs, ${(s.simulatedMs / 3_600_000).toFixed(2)} simulated hours, ${s.events} events, ` +
      `${(s.cpuMs / 1000).toFixed(1)} s of CPU (${(s.cpuMs / Math.max(1, s.simulatedMs / 1000)).toFixed(2)} ms per second)`,
    `${s.ackedRecords} records acked; attempts: ${s.ackedAttempts} acked, ${s.refusedAttempts} refused, ${s.unknownAttempts} unknown`,
    `${percent(s.underLoadMs, s.simulatedMs)} of the time with a leader under load; ${s.elections} elections, ` +
      `${s.quorumEpochs} quorum epochs, ${s.generations} group generations, ` +
      `${s.operations} operations`,
    `${s.snapshotsWritten} snapshots of the metadata written, ${s.snapshotsFetched} fetched by who was late`,
    `${countOf(s)} faults:`,
    ...kinds.map(kind => `  ${kind.padEnd(width)} ${String(s.faults[kind]).padStart(7)}  ${overlapsOf(s, kind, kinds)}`)
  ]
  if (s.disksReplaced > 0)
    lines.push(`${s.disksReplaced} brokers did not start after a bit had flipped, and got an empty disk`)
  if (pairs.length > 0) lines.push(`rarest pair: ${rarest[0]}, ${rarest[1]} times`)
  return lines.join('\n')
}

function overlapsOf(s: Statistics, kind: FaultKind, kinds: readonly FaultKind[]): string {
  const counts = kinds.filter(other => other !== kind).map(other => s.overlaps[pairOf(kind, other)] ?? 0)
  return counts.length === 0 ? '' : `met each other kind ${Math.min(...counts)} times or more`
}

function percent(part: number, whole: number): string {
  return `${((100 * part) / Math.max(1, whole)).toFixed(0)} %`
}

export function addUnderLoad(s: Statistics, now: { isBusy: boolean; hasAcks: boolean; ms: number }): void {
  if (now.isBusy && now.hasAcks) s.underLoadMs += now.ms
}
