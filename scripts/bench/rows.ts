// All rows of the benchmark, with what is expected of them. Those with a goal make the README's table.
import { setUpFetch } from './fetch.ts'
import { setUpJoin } from './groups.ts'
import { liveCrash, livePartitions, liveStart } from './lives.ts'
import { in16k, in64k, setUpIdempotent, setUpProduce, single } from './produce.ts'
import { type SmallShape, setUpSmall } from './small.ts'
import { setUpCatchUp, setUpFanOut } from './tail.ts'
import type { Goal, Row, Scene } from './workload.ts'

const MB = 1 << 20

/** Shapes of rows that differ in one thing each. */
const produceRow = (
  name: string,
  what: string,
  shape: Parameters<typeof setUpProduce>[1],
  more: Partial<Row> = {}
): Row => ({
  ...{ name, what, group: 'produce', durability: 'page-cache', unit: 'records', floor: 'take' },
  ...more,
  setUp: scene => setUpProduce(scene, shape)
})

const goal = (label: string, rate: number, cpu: number, more: Partial<Goal> = {}): Goal => ({
  label,
  atLeast: { rate },
  atMost: { cpu },
  ...more
})

const PRODUCE: readonly Row[] = [
  produceRow('produce-1p', '1 KiB records, 64 KiB batches, 1 partition, acks=all', in64k, {
    goal: goal('produce, 1 partition, 64 KiB batches', 2, 0.35)
  }),
  produceRow(
    'produce-100p',
    '16 KiB batches, 100 partitions, acks=all',
    { ...in16k, partitions: 100 },
    {
      goal: goal('produce, 100 partitions, 16 KiB batches', 1.8, 0.4)
    }
  ),
  produceRow(
    'produce-1000p',
    '16 KiB batches, 1,000 partitions, acks=all',
    { ...in16k, partitions: 1000 },
    {
      goal: goal('produce, 1,000 partitions, 16 KiB batches', 3, 0.25)
    }
  ),
  produceRow(
    'produce-synced',
    '64 KiB batches, 4 partitions, acks=all, synced before each ack',
    { ...in64k, partitions: 4 },
    { durability: 'synced', goal: goal('produce, 4 partitions, synced before each ack', 2.5, 0.35) }
  ),
  {
    ...{ name: 'idempotent', group: 'produce', durability: 'page-cache', unit: 'records', floor: 'take' },
    what: 'one idempotent producer, requests of 1 MB with a batch for each of 4 partitions',
    goal: goal('idempotent client with large batches, 4 partitions', 1, 0.7),
    setUp: scene => setUpIdempotent(scene, { ...in64k, partitions: 4, recordsPerBatch: 250 })
  }
]

const aside = { group: 'variants', mostRounds: 1 } as const

const VARIANTS: readonly Row[] = [
  produceRow('produce-acks1', 'as produce-1p, acks=1 (also: produce-64k)', { ...in64k, acks: 1 }, aside),
  produceRow('produce-acks0', 'as produce-1p, acks=0', { ...in64k, acks: 0 }, aside),
  produceRow(
    'produce-100b',
    'records of 100 bytes, 64 KiB batches',
    { ...in64k, recordBytes: 100, recordsPerBatch: 600 },
    aside
  ),
  produceRow(
    'produce-100k',
    'records of 100 KiB, one a batch',
    { ...in64k, recordBytes: 102_400, recordsPerBatch: 1 },
    aside
  ),
  ...(['gzip', 'snappy', 'lz4', 'zstd'] as const).map(codec =>
    produceRow(`produce-${codec}`, `as produce-1p, batches compressed with ${codec}`, { ...in64k, codec }, aside)
  ),
  produceRow(
    'idempotent-synced',
    'as idempotent, synced before each ack',
    { ...in64k, partitions: 4, recordsPerBatch: 250 },
    {
      ...aside,
      durability: 'synced',
      setUp: (scene: Scene) => setUpIdempotent(scene, { ...in64k, partitions: 4, recordsPerBatch: 250 })
    }
  )
]

const fetchRow = (name: string, what: string, shape: Parameters<typeof setUpFetch>[1], more: Partial<Row>): Row => ({
  ...{ name, what, group: 'fetch', durability: 'page-cache', unit: 'bytes', floor: 'give' },
  ...more,
  setUp: scene => setUpFetch(scene, shape)
})

const FETCH: readonly Row[] = [
  fetchRow(
    'fetch-1m',
    'the newest records, 1 MiB a partition (also: fetch-tail)',
    { connections: 4, depth: 2, partitionBytes: MB, logBytes: 32 * MB, inOrder: false },
    { goal: goal('fetch hot, 1 MiB a partition', 0.9, 1.1) }
  ),
  fetchRow(
    'fetch-10m',
    'the newest records, 10 MiB a partition',
    { connections: 4, depth: 2, partitionBytes: 10 * MB, logBytes: 32 * MB, inOrder: false },
    { goal: goal('fetch hot, 10 MiB a partition', 0.9, 1.1) }
  ),
  fetchRow(
    'fetch-cold',
    'a log of 768 MiB from its beginning, 1 MiB at a time; the page cache has it, the broker does not',
    { connections: 4, depth: 1, partitionBytes: MB, logBytes: 768 * MB, inOrder: true },
    { goal: { label: 'fetch cold (page cache warm)' } }
  )
]

const smallRow = (shape: SmallShape, name: string, what: string, more: Partial<Row>): Row => ({
  ...{ name, what, group: 'small', durability: 'page-cache', unit: 'requests' },
  ...more,
  setUp: scene => setUpSmall(scene, shape)
})
const kinds = {
  'empty-fetch': 'fetches that find nothing',
  metadata: 'Metadata of a topic',
  heartbeat: 'Heartbeat of a member',
  'offset-commit': 'OffsetCommit of a member'
} as const

const SMALL: readonly Row[] = [
  produceRow(
    'small-1',
    '100-byte produces, 16 connections, 1 in flight, acks=all',
    { ...single, depth: 1 },
    {
      ...{ group: 'small', unit: 'requests' },
      goal: goal('small produce, 16 connections, depth 1', 1.5, 0.45)
    }
  ),
  produceRow('small-5', '100-byte produces, 16 connections, 5 in flight, acks=all', single, {
    ...{ group: 'small', unit: 'requests' },
    goal: goal('small produce, 16 connections, depth 5', 3, 0.45)
  }),
  produceRow(
    'small-1-synced',
    'as small-1, synced before each ack',
    { ...single, depth: 1 },
    {
      ...{ group: 'small', unit: 'requests', durability: 'synced' },
      goal: { label: 'the same, depth 1, synced before each ack', atLeast: { rate: 1.5 } }
    }
  ),
  produceRow('small-5-synced', 'as small-5, synced before each ack', single, {
    ...{ group: 'small', unit: 'requests', durability: 'synced' },
    goal: { label: 'the same, depth 5, synced before each ack', atLeast: { rate: 1.5 } }
  }),
  ...(['empty-fetch', 'metadata', 'heartbeat', 'offset-commit'] as const).map(kind =>
    smallRow({ kind, connections: 16, depth: 1 }, kind, `${kinds[kind]}, 16 connections, 1 in flight`, {
      goal: goal(kinds[kind], 1.5, 0.4)
    })
  ),
  ...(['empty-fetch', 'metadata', 'heartbeat', 'offset-commit'] as const).map(kind =>
    smallRow({ kind, connections: 16, depth: 5 }, `${kind}-5`, `${kinds[kind]}, 16 connections, 5 in flight`, aside)
  )
]

const LATENCY: readonly Row[] = [1000, 10_000].map(perSecond =>
  produceRow(
    `latency-${perSecond / 1000}k`,
    `single records of 1 KiB at ${perSecond.toLocaleString('en')} a second, 12 partitions, acks=all, each broker's own default`,
    { ...in64k, recordsPerBatch: 1, partitions: 12, connections: 12, depth: 1, perSecond },
    {
      ...{ group: 'latency', durability: 'default', unit: 'requests' },
      shows: [
        { name: 'p50Ms', unit: 'ms p50' },
        { name: 'p99Ms', unit: 'p99' },
        { name: 'p999Ms', unit: 'p99.9' },
        { name: 'cpuMicrosPerRequest', unit: 'us' }
      ],
      ratios: { rate: 'p99Ms', cpu: 'cpuMicrosPerRequest' },
      ...(perSecond === 10_000
        ? {
            goal: {
              label: 'latency at 10,000 records/s, single records, acks=all',
              atMost: { p50: 1, p99: 1, cpu: 0.3 }
            }
          }
        : {})
    }
  )
)

const TAIL: readonly Row[] = [
  {
    ...{ name: 'fan-out', group: 'tail', durability: 'default', unit: 'bytes' },
    what: 'one writer at 2,000 records/s, 20 readers at the end; latency from due to delivered, CPU per GB delivered',
    goal: { label: 'one writer at 2,000 records/s, 20 tailing readers: end to end', atMost: { p99: 0.5, cpu: 0.3 } },
    shows: [
      { name: 'p99Ms', unit: 'ms p99' },
      { name: 'cpuSecondsPerGigabyte', unit: 's/GB' }
    ],
    ratios: { rate: 'p99Ms', cpu: 'cpuSecondsPerGigabyte' },
    setUp: scene => setUpFanOut(scene, { readers: 20, perSecond: 2000 })
  },
  {
    ...{ name: 'catch-up', group: 'tail', durability: 'default', unit: 'requests', mostRounds: 2 },
    what: 'end to end at 1,000 records/s, quiet and while others read an old topic at 200 MB/s (--old-gb)',
    goal: { label: 'end-to-end p99 beside 200 MB/s of catch-up reads, by quiet', within: { besideByQuiet: 1.3 } },
    shows: [
      { name: 'besideByQuiet', unit: 'x' },
      { name: 'quietP99Ms', unit: 'ms quiet' },
      { name: 'besideP99Ms', unit: 'ms beside' }
    ],
    ratios: { rate: 'besideP99Ms', cpu: 'cpuCores' },
    setUp: scene => setUpCatchUp(scene, { perSecond: 1000, bytesPerSecond: 200e6 })
  }
]

const GROUPS: readonly Row[] = [
  {
    ...{ name: 'join-100', group: 'groups', durability: 'page-cache', unit: 'requests' },
    what: '100 consumers become one group: until all are in one generation',
    goal: { label: '100 consumers join one group' },
    shows: [{ name: 'joinMs', unit: 'ms' }],
    ratios: { rate: 'joinMs', cpu: 'cpuMicrosPerRequest' },
    setUp: scene => setUpJoin(scene, 100)
  },
  smallRow(
    { kind: 'offset-commit', connections: 16, depth: 1, perSecond: 1000 },
    'commits-1k',
    'OffsetCommit at 1,000 a second',
    {
      ...{ group: 'groups', durability: 'default', goal: { label: '1,000 commits/s' } },
      shows: [
        { name: 'p99Ms', unit: 'ms p99' },
        { name: 'cpuMicrosPerRequest', unit: 'us' }
      ],
      ratios: { rate: 'p99Ms', cpu: 'cpuMicrosPerRequest' }
    }
  )
]

const liveRow = (name: string, what: string, live: NonNullable<Row['live']>, more: Partial<Row>): Row => ({
  ...{ name, what, group: 'lives', durability: 'default', unit: 'requests' },
  ...more,
  live
})

const manyShown = [
  { name: 'createMs', unit: 'ms created' },
  { name: 'idlePercent', unit: '% idle' },
  { name: 'kilobytesEach', unit: 'KB each' },
  { name: 'restartMs', unit: 'ms restart' }
]
const manyRatios = { rate: 'restartMs', cpu: 'restartCpuSeconds' }

const LIVES: readonly Row[] = [
  liveRow('start', 'process start to first accepted produce, empty directory', liveStart, {
    goal: {
      label: 'process start (empty directory) to first accepted produce',
      within: { startMs: 200, startCpuSeconds: 0.3, startMegabytes: 80 }
    },
    shows: [
      { name: 'startMs', unit: 'ms' },
      { name: 'startCpuSeconds', unit: 'CPU s' },
      { name: 'startMegabytes', unit: 'MB' }
    ],
    ratios: { rate: 'startMs', cpu: 'startCpuSeconds' }
  }),
  liveRow(
    'partitions-1k',
    '1,000 partitions: created, idle, memory, killed and started again to the first accepted produce',
    scene => livePartitions(scene, 1000),
    { mostRounds: 1, goal: { label: '1,000 partitions' }, shows: manyShown, ratios: manyRatios }
  ),
  liveRow('partitions-10k', '10,000 partitions, likewise', scene => livePartitions(scene, 10_000), {
    goal: {
      label: '10,000 partitions',
      within: { createMs: 2000, idlePercent: 1, kilobytesEach: 3, restartMs: 2000 }
    },
    ...{ mostRounds: 1, shows: manyShown, ratios: manyRatios }
  }),
  liveRow(
    'crash',
    'kill -9 with a large log that was never closed, to the first produce to all (--crash-gb)',
    liveCrash,
    {
      goal: { label: 'kill -9 with 10 GB, start to first accepted produce' },
      mostRounds: 1,
      shows: [
        { name: 'restartMs', unit: 'ms' },
        { name: 'restartCpuSeconds', unit: 'CPU s' },
        { name: 'gigabytes', unit: 'GB' }
      ],
      ratios: manyRatios
    }
  )
]

export const ROWS: readonly Row[] = [
  ...[...PRODUCE, ...FETCH, ...SMALL, ...LATENCY, ...TAIL, ...GROUPS, ...LIVES, ...VARIANTS]
]

/** Earlier names. */
export const ALIASES: Readonly<Record<string, string>> = { 'produce-64k': 'produce-acks1', 'fetch-tail': 'fetch-1m' }
