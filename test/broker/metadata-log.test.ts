// The metadata log's own care: epochs, snapshots that let it be cut, and clusters that are too rich for this version.
import { test } from 'tap'
import { formatQuorumState } from '../../protocol/cluster/quorum-state.ts'
import { ZERO_UUID } from '../../protocol/types.ts'
import { metadataBatch, parseSnapshotName, snapshotBatches } from '../../replication/metadata/batches.ts'
import { recordAt } from '../../replication/metadata/records.ts'
import { METADATA, Node, turns } from './controller-fixture.ts'

test('a lost quorum-state file does not lead to a second reign in one epoch', async t => {
  const node = new Node()
  await (await node.start()).stop()
  await node.files.unlink(`${METADATA}/quorum-state`)
  const life = await node.start()
  t.equal(life.controller.metadataLog.leaderEpoch, 2)
  await life.stop()
})

test('a directory of another quorum is refused', async t => {
  const node = new Node()
  const life = await node.start()
  life.crash('keep')
  const state = { version: 0, leaderId: 2, leaderEpoch: 9, votedId: -1, votedDirectoryId: ZERO_UUID } as const
  for (const stored of [
    { ...state, currentVoters: [1, 2, 3] },
    { ...state, currentVoters: [2] },
    { ...state, version: 1, currentVoters: [] } as const
  ]) {
    await node.files.writeFileAtomically(`${METADATA}/quorum-state`, Buffer.from(formatQuorumState(stored)))
    await t.rejects(node.begin(), { code: 'ERR_WRONG_DIRECTORY', message: /quorum-state/ })
    node.stores.crash(count => count)
  }
})

const snapshotsOf = (names: string[]) => names.map(parseSnapshotName).filter(id => id !== null)

test('snapshots: the log is cut behind them, and a damaged one is passed over', async t => {
  const node = new Node({
    set: ['metadata.log.max.record.bytes.between.snapshots=2000', 'internal.metadata.log.segment.bytes=3000']
  })
  const life = await node.start()
  for (let index = 0; index < 60; index++) {
    await life.create(`topic-${index}`)
    await life.controller.metadataLog.maybeSnapshot()
  }
  const { metadataLog } = life.controller
  const snapshots = snapshotsOf(await node.names())
  t.equal(snapshots.length, 2)
  t.equal(metadataLog.logStartOffset, snapshots[0]?.endOffset, 'the log begins where the older one ends')
  t.ok(metadataLog.logStartOffset > 0)
  life.crash()
  const next = await node.start()
  t.equal(next.image.topicsByName.size, 60)
  next.crash()
  const newest = (await node.names()).filter(name => name.endsWith('.checkpoint')).at(-1)
  const bytes = (await node.files.readFile(`${METADATA}/${newest}`)) as Buffer
  await node.files.writeFileAtomically(`${METADATA}/${newest}`, bytes.subarray(0, -20))
  const third = await node.start()
  t.equal(third.image.topicsByName.size, 60)
  t.match(node.lines.join(''), /metadata-snapshot-damaged/)
  third.crash()
  for (const { endOffset } of snapshotsOf(await node.names())) {
    for (const name of await node.names())
      if (name.includes(String(endOffset)) && name.endsWith('.checkpoint'))
        await node.files.unlink(`${METADATA}/${name}`)
  }
  await t.rejects(node.begin(), { code: 'ERR_LOG_CORRUPT' }, 'a log without its beginning is not guessed at')
})

test('a damaged snapshot never counts again: the next one keeps the sound one, and the log from there on', async t => {
  const node = new Node({
    set: ['metadata.log.max.record.bytes.between.snapshots=2000', 'internal.metadata.log.segment.bytes=3000']
  })
  const grow = async (life: Awaited<ReturnType<Node['start']>>, from: number, count: number) => {
    for (let index = from; index < from + count; index++) {
      await life.create(`topic-${index}`)
      await life.controller.metadataLog.maybeSnapshot()
    }
  }
  const namesOf = async () => (await node.names()).filter(name => parseSnapshotName(name) !== null).sort()
  const life = await node.start()
  await grow(life, 0, 60)
  life.crash('keep')
  const [older, newest] = (await namesOf()) as [string, string]
  const bytes = (await node.files.readFile(`${METADATA}/${newest}`)) as Buffer
  await node.files.writeFileAtomically(`${METADATA}/${newest}`, bytes.subarray(0, -20))
  const second = await node.start()
  t.strictSame(await namesOf(), [older])
  t.ok((await node.names()).includes(`${newest}.damaged`), 'kept for whoever looks into it')
  let count = 60
  while ((await namesOf()).length < 2) await grow(second, count++, 1)
  t.equal((await namesOf())[0], older)
  t.equal(second.controller.metadataLog.logStartOffset, parseSnapshotName(older)?.endOffset)
  second.crash('keep')
  // The one behind it goes too: what is left must be enough.
  const last = (await namesOf()).at(-1)
  await node.files.unlink(`${METADATA}/${last}`)
  const third = await node.start()
  t.equal(third.image.topicsByName.size, count)
  await third.stop()
})

test('a snapshot is due by time too', async t => {
  const node = new Node({ set: ['metadata.log.max.snapshot.interval.ms=10000'] })
  const life = await node.start()
  node.clock.advance(9_000)
  await turns()
  t.equal(snapshotsOf(await node.names()).length, 0)
  node.clock.advance(1_500)
  await turns(20)
  t.equal(snapshotsOf(await node.names()).length, 1)
  await life.stop()
})

test('a cluster with more than is supported is refused, naming the feature', async t => {
  const rich = recordAt(30, 'FeatureLevelRecord', { name: 'group.version', featureLevel: 1 })
  const level = recordAt(30, 'FeatureLevelRecord', { name: 'metadata.version', featureLevel: 30 })
  const o = { epoch: 0, lastContainedLogTimestamp: 0, nowMs: 0 }
  const formatted = new Node({ bootstrap: () => Buffer.concat([...snapshotBatches([level, rich], o)]) })
  const life = await formatted.begin()
  await t.rejects(life.controller.start(), { code: 'ERR_WRONG_DIRECTORY', message: /group\.version/ })
  const used = new Node()
  ;(await used.start()).crash('keep')
  const log = `${METADATA}/00000000000000000000.log`
  const bytes = (await used.files.readFile(log)) as Buffer
  const more = metadataBatch([rich], 1, 0)
  more.writeBigInt64BE(BigInt(lastOf(bytes)), 0)
  await used.files.writeFileAtomically(log, Buffer.concat([bytes, more]))
  await t.rejects(used.begin(), { code: 'ERR_WRONG_DIRECTORY', message: /group\.version at 1/ })
})

function lastOf(log: Buffer): number {
  let end = 0
  for (let at = 0; at < log.length; at += 12 + log.readInt32BE(at + 8)) {
    end = Number(log.readBigInt64BE(at)) + log.readInt32BE(at + 23) + 1
  }
  return end
}
