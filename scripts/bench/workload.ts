// The words of the benchmark. A row is one line of the table; a subject is a broker that is measured; a scene is what the
// load process knows of the broker; a stage is a row set up on it, ready to be measured again and again.
import type { Histogram, Quantiles } from './histogram.ts'

/**
 * When a record counts as acknowledged. page-cache: when it is written, on both sides. synced: after a sync, on both sides.
 * default: as each broker does it by itself (moldau syncs, Apache Kafka does not).
 */
export type Durability = 'page-cache' | 'synced' | 'default'

export interface Scene {
  readonly bootstrap: string
  readonly pids: readonly number[]
  readonly isFloor: boolean
  /** Where a moldau tells of itself. */
  readonly metricsUrl?: string
  /** Settings of topics that make this broker keep the row's durability. */
  readonly configs: Readonly<Record<string, string>>
  /** Bytes of the old topic that others read (the row catch-up). */
  readonly oldBytes: number
}

/** What the load saw, without what the broker spent. */
export interface Outcome {
  readonly seconds: number
  readonly requests: number
  readonly records: number
  /** Payload: what was produced or delivered. */
  readonly bytes: number
  /** On the wire, both ways, frames included. */
  readonly wireBytes: number
  readonly latency: Histogram | null
  /** What only this row has to tell, by name with its unit. */
  readonly extra?: Readonly<Record<string, number>>
}

/** One round of a row on one subject, as it leaves the load process. */
export interface Measured extends Omit<Outcome, 'latency'>, Quantiles {
  readonly extra: Readonly<Record<string, number>>
  readonly cpuSeconds: number
  readonly loadCpuSeconds: number
  readonly residentMegabytes: number
  readonly peakMegabytes: number
  readonly writtenBytes: number
}

/** Brokers of one kind from their start to their end, for rows that are about that. */
export interface Lives {
  /** What a directory needs before its first start. */
  prepare(directory: string, port: number): Promise<void>
  /** Resolves when the process runs, long before it is ready. */
  launch(directory: string, port: number): Promise<Life>
}

export interface Life {
  readonly pid: number
  isRunning(): boolean
  /** The signal is sent before this returns; resolves when the process is gone. */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>
}

export interface LifeScene {
  readonly lives: Lives
  freshDirectory(): string
  freePort(): Promise<number>
  readonly idleSeconds: number
  /** Size of the log that is recovered (the row crash). */
  readonly crashBytes: number
  readonly progress: (text: string) => void
}

export interface Stage {
  measure(seconds: number): Promise<Outcome>
  close(): Promise<void>
}

/** Limits on the ratio of moldau to the other; `rate`, `cpu`, `p50`, `p99` or the name of a figure. */
export interface Goal {
  readonly label: string
  /** Limits on moldau's own figures. */
  readonly within?: Readonly<Record<string, number>>
  readonly atLeast?: Readonly<Record<string, number>>
  readonly atMost?: Readonly<Record<string, number>>
}

export interface Row {
  readonly name: string
  readonly group: string
  readonly what: string
  readonly durability: Durability
  /** What its rate counts, and what its CPU is divided by. */
  readonly unit: 'records' | 'requests' | 'bytes'
  /** Never more rounds than these: heavy rows, and those beside the table. */
  readonly mostRounds?: number
  readonly goal?: Goal
  /** Told in the README instead of rate and CPU: names of figures with their units. */
  readonly shows?: readonly { readonly name: string; readonly unit: string }[]
  /** The figures that stand for rate and CPU in the README's ratios, where they are others. */
  readonly ratios?: { readonly rate: string; readonly cpu: string }
  /** What a process that only moves the bytes would do: take them in, write them to a file, hand them out, or from a file. */
  readonly floor?: 'take' | 'give'
  /** It needs no load before it is measured. */
  readonly isWarm?: boolean
  /** In the load process, on a running broker. */
  readonly setUp?: (scene: Scene) => Promise<Stage>
  /** Or with brokers that the load process starts and ends: one round. */
  readonly live?: (scene: LifeScene) => Promise<Outcome>
}

/** Throw it in `setUp`: the row is left out, with the reason. */
export class CannotRun extends Error {
  override readonly name = 'CannotRun'
}
