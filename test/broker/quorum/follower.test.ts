// Goal: a record that comes after a vote was given is not taken: the voter's log must be the one that the vote was given on.
// And a leader whose answers cannot be used is not asked without a pause.
import { test } from 'tap'
import { QuorumFollower } from '../../../broker/quorum/follower.ts'
import type { Job } from '../../../broker/quorum/runner.ts'
import { metadataBatch, snapshotBatches } from '../../../replication/metadata/batches.ts'
import { recordAt } from '../../../replication/metadata/records.ts'
import type { Input } from '../../../replication/quorum/inputs.ts'
import { TestClock } from '../../storage/log-fixture.ts'
import { turns } from '../controller-fixture.ts'

type Options = ConstructorParameters<typeof QuorumFollower>[0]

type AtJob = (quorum: { epoch: number; leaderId: number; role: { kind: string } }) => void

function follower(atJob: AtJob, { answers = 1, isDamaged = false, snapshot = null as Buffer | null } = {}) {
  const quorum = { epoch: 5, leaderId: 1, role: { kind: 'follower' }, highWatermark: 0 }
  const taken: number[] = []
  const inputs: Input[] = []
  const feature = recordAt(30, 'FeatureLevelRecord', { name: 'metadata.version', featureLevel: 30 })
  const partition = {
    ...{ partitionIndex: 0, errorCode: 0, highWatermark: 1, currentLeader: { leaderId: 1, leaderEpoch: 5 } },
    ...{ divergingEpoch: { epoch: -1, endOffset: -1 }, snapshotId: { epoch: -1, endOffset: -1 } },
    records: metadataBatch([feature], 5, 0)
  }
  if (snapshot) partition.snapshotId = { epoch: 5, endOffset: 9 }
  if (isDamaged) partition.records.writeUInt8(0xff, partition.records.length - 1)
  let asked = 0
  const clock = new TestClock(0)
  const lines: string[] = []
  const installed: number[] = []
  const piece = { errorCode: 0, size: snapshot?.length, position: 0, unalignedRecords: snapshot }
  const topics = [{ partitions: [piece] }]
  const answer = () => Promise.resolve({ errorCode: 0, responses: [{ partitions: [partition] }], topics })
  const parts = {
    ...{ quorum, nodeId: 2, clusterId: () => null, requestTimeoutMs: () => 1, fetchMaxBytes: () => 1 },
    snapshotMaxBytes: () => 1 << 20,
    install: ({ records }: { records: readonly object[] }) => Promise.resolve(installed.push(records.length)),
    peers: {
      fetching: () => ({ send: () => (asked++ < answers ? answer() : new Promise(() => {})) }),
      answered: () => {},
      failed: () => {}
    },
    runner: {
      run(job: Job) {
        atJob(quorum)
        const given = job()
        if (!(given instanceof Promise)) inputs.push(...given)
      },
      settled: () => Promise.resolve(),
      take: (input: Input) => inputs.push(input)
    },
    log: {
      log: {
        ...{ flush: () => Promise.resolve(0), syncedEndOffset: 0, logStartOffset: 0, logEndOffset: 0 },
        appendAsFollower: (bytes: Buffer) => taken.push(bytes.length)
      },
      ...{ lastEpoch: 0, end: { logEndOffset: 1, lastEpoch: 5 } }
    },
    onFetched: () => {},
    onAccepted: () => {},
    clock,
    logger: { debug() {}, warn: (_: object, line: string) => lines.push(line), info() {} },
    onFailure: (error: unknown) => {
      throw error
    }
  } as unknown as Options
  return { follower: new QuorumFollower(parts), taken, inputs, clock, lines, asked: () => asked, installed }
}

test('records are taken while that leader is followed, and not once the vote is another’s', async t => {
  const cases: [string, Parameters<typeof follower>[0], number][] = [
    ['follows on', () => {}, 1],
    [
      'voted in a later epoch',
      quorum => Object.assign(quorum, { epoch: 6, leaderId: -1, role: { kind: 'unattached' } }),
      0
    ],
    ['asks for pre-votes', quorum => Object.assign(quorum, { role: { kind: 'prospective' } }), 0],
    ['follows another', quorum => Object.assign(quorum, { epoch: 6, leaderId: 3 }), 0]
  ]
  for (const [name, atJob, count] of cases) {
    const { follower: one, taken, inputs } = follower(atJob)
    one.follow({ leaderId: 1, epoch: 5 })
    await turns()
    one.stop()
    t.equal(taken.length, count, name)
    t.equal(inputs.length, count * 2, `${name}: what the quorum is told`)
  }
})

test('an answer that cannot be used is asked for again after a pause, which grows', async t => {
  const { follower: one, clock, asked, inputs, lines } = follower(() => {}, { answers: 1000, isDamaged: true })
  one.follow({ leaderId: 1, epoch: 5 })
  await turns(50)
  t.equal(asked(), 1, 'not at once')
  for (let ms = 0; ms < 10_000; ms += 10) {
    clock.advance(10)
    await turns(1)
  }
  one.stop()
  t.ok(asked() >= 10 && asked() <= 40, `asked ${asked()} times in ten seconds`)
  t.strictSame([...new Set(lines)], ['quorum-fetch-unusable'])
  t.strictSame(inputs, [], 'no sign that the leader leads')
})

test('a damaged snapshot is not installed, ends nothing, and is asked for again after a pause', async t => {
  const feature = recordAt(30, 'FeatureLevelRecord', { name: 'metadata.version', featureLevel: 30 })
  const snapshot = Buffer.concat([...snapshotBatches([feature], { epoch: 5, lastContainedLogTimestamp: 0, nowMs: 0 })])
  const sound = follower(() => {}, { answers: 2, snapshot })
  sound.follower.follow({ leaderId: 1, epoch: 5 })
  await turns(50)
  t.strictSame([sound.installed, sound.lines], [[1], []])
  const flipped = Buffer.from(snapshot)
  flipped.writeUInt8(flipped.readUInt8(150) ^ 1, 150)
  for (const damaged of [snapshot.subarray(0, -1), flipped]) {
    const { follower: one, clock, asked, installed, lines } = follower(() => {}, { answers: 1000, snapshot: damaged })
    one.follow({ leaderId: 1, epoch: 5 })
    await turns(50)
    t.equal(asked(), 2, 'a fetch, and the snapshot')
    for (let ms = 0; ms < 5000; ms += 10) {
      clock.advance(10)
      await turns(1)
    }
    one.stop()
    t.ok(asked() >= 10 && asked() <= 40, `asked ${asked()} times in five seconds`)
    t.strictSame([...new Set(lines)], ['metadata-snapshot-unusable'])
    t.strictSame(installed, [])
  }
})
