// Goal: a record that comes after a vote was given is not taken: the voter's log must be the one that the vote was given on.
import { test } from 'tap'
import { QuorumFollower } from '../../../broker/quorum/follower.ts'
import type { Job } from '../../../broker/quorum/runner.ts'
import { metadataBatch } from '../../../replication/metadata/batches.ts'
import { recordAt } from '../../../replication/metadata/records.ts'
import type { Input } from '../../../replication/quorum/inputs.ts'
import { turns } from '../controller-fixture.ts'

type Options = ConstructorParameters<typeof QuorumFollower>[0]

function follower(atJob: (quorum: { epoch: number; leaderId: number; role: { kind: string } }) => void) {
  const quorum = { epoch: 5, leaderId: 1, role: { kind: 'follower' }, highWatermark: 0 }
  const taken: number[] = []
  const inputs: Input[] = []
  const feature = recordAt(30, 'FeatureLevelRecord', { name: 'metadata.version', featureLevel: 30 })
  const partition = {
    ...{ partitionIndex: 0, errorCode: 0, highWatermark: 1, currentLeader: { leaderId: 1, leaderEpoch: 5 } },
    ...{ divergingEpoch: { epoch: -1, endOffset: -1 }, snapshotId: { epoch: -1, endOffset: -1 } },
    records: metadataBatch([feature], 5, 0)
  }
  let asked = 0
  const answer = () => Promise.resolve({ errorCode: 0, responses: [{ partitions: [partition] }] })
  const parts = {
    ...{ quorum, nodeId: 2, clusterId: () => null, requestTimeoutMs: () => 1, fetchMaxBytes: () => 1 },
    peers: { fetching: () => ({ send: () => (asked++ === 0 ? answer() : new Promise(() => {})) }) },
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
    clock: { after: () => ({ cancel() {} }) },
    logger: { debug() {}, warn() {}, info() {} },
    onFailure: (error: unknown) => {
      throw error
    }
  } as unknown as Options
  return { follower: new QuorumFollower(parts), taken, inputs }
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
