// Goal: the small files are Kafka's to the byte, and what is torn or foreign is refused with file and line.
import { readFileSync } from 'node:fs'
import { test } from 'tap'
import {
  formatCleanShutdown,
  formatMetaProperties,
  formatOffsets,
  formatPartitionMetadata,
  parseCleanShutdown,
  parseMetaProperties,
  parseOffsets,
  parsePartitionMetadata,
  readOffsets,
  writeOffsets
} from '../../storage/checkpoints.ts'
import { NodeFiles } from '../../storage/files-node.ts'
import { fateName, parseDirectoryName, partitionName } from '../../storage/partition-names.ts'

interface Golden {
  readonly file: string
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: the shape depends on the file
  readonly holds: any
}

const golden = readFileSync('test/golden/files.jsonl', 'utf8')
  .trim()
  .split('\n')
  .map(line => JSON.parse(line) as Golden)

test('golden files: read as Kafka means them, written as Kafka writes them', async t => {
  let offsetFiles = 0
  for (const { file, text, holds } of golden) {
    if (file.endsWith('-offset-checkpoint')) {
      offsetFiles++
      t.same(parseOffsets(text, file), holds, file)
      t.equal(formatOffsets(holds), text, file)
    } else if (file === 'meta.properties') {
      const meta = parseMetaProperties(text, file)
      t.match(meta, {
        version: 1,
        nodeId: 1,
        clusterId: holds['cluster.id'],
        directoryId: holds['directory.id'] ?? null
      })
      t.equal(formatMetaProperties(meta, new Date(0)), text, 'meta.properties')
    } else if (file === 'partition.metadata') {
      t.equal(parsePartitionMetadata(text, file), holds.topicId)
      t.equal(formatPartitionMetadata(holds.topicId), text)
    } else if (file === '.kafka_cleanshutdown') {
      t.equal(parseCleanShutdown(text), holds.brokerEpoch)
      t.equal(formatCleanShutdown(holds.brokerEpoch), text)
    }
  }
  t.equal(offsetFiles, 8)
})

test('offset checkpoints: what Kafka leaves half made is empty, what is damaged is refused', async t => {
  t.same(parseOffsets('', 'f'), [])
  t.same(parseOffsets('0\n', 'f'), [])
  t.same(parseOffsets('0\r\n1\r\na 1 2\r\n', 'f'), [{ topic: 'a', partition: 1, offset: 2 }])
  const damaged: [string, RegExp][] = [
    ['1\n0\n', /^f, line 1: version 0/],
    ['0\n2\na 0 1\n', /^f, line 2: 1 entries/],
    ['0\n1\na 0 1\nb 0 1\n', /^f, line 2: 2 entries/],
    ['0\n1\na 0\n', /^f, line 3/],
    ['0\n1\na 0 -5\n', /^f, line 3/],
    ['0\n1\na 0 99999999999999999999\n', /^f, line 3/],
    ['0\n1\n\0\0\0\n', /^f, line 3/]
  ]
  for (const [text, message] of damaged) {
    t.throws(() => parseOffsets(text, 'f'), { code: 'ERR_STORAGE', message }, JSON.stringify(text))
  }
})

test('offset checkpoints on a disk', async t => {
  const files = new NodeFiles()
  const file = `${t.testdir()}/recovery-point-offset-checkpoint`
  t.same(await readOffsets(files, file), [], 'no file, no offsets')
  const entries = [
    { topic: 'orders', partition: 0, offset: 7 },
    { topic: 'a.b_c-d', partition: 11, offset: 2 ** 53 - 1 }
  ]
  await writeOffsets(files, file, entries)
  t.same(await readOffsets(files, file), entries)
  await writeOffsets(files, file, [])
  t.same(await readOffsets(files, file), [])
})

test('meta.properties: read as Java reads it, kept whole, refused when it is not ours to read', async t => {
  const meta = parseMetaProperties(
    '! a comment\r\n  node.id : 5\nversion 1\ncluster.id=a\\:b \ndirectory.id=ISIjJCUmJygxMjM0NTY3OA\nplug.in=x=y\n',
    'm'
  )
  t.match(meta, { nodeId: 5, clusterId: 'a:b', directoryId: 'ISIjJCUmJygxMjM0NTY3OA' })
  t.match(formatMetaProperties(meta, new Date(0)), /\nplug\.in=x=y\n$/, 'an unknown key is written back')
  const refused: [string, RegExp][] = [
    ['version=0\nbroker.id=1\n', /^m: it was written for ZooKeeper/],
    ['version=2\nnode.id=1\ncluster.id=x\n', /^m: version 2 is not known/],
    ['node.id=1\ncluster.id=x\n', /^m: version is missing/],
    ['version=1\ncluster.id=x\n', /^m: node.id is missing/],
    ['version=1\nnode.id=one\ncluster.id=x\n', /^m: node.id one/],
    ['version=1\nnode.id=1\n', /^m: cluster.id/],
    ['version=1\nnode.id=1\ncluster.id=x\ndirectory.id=short\n', /^m: directory.id short/]
  ]
  for (const [text, message] of refused) {
    t.throws(() => parseMetaProperties(text, 'm'), { code: 'ERR_WRONG_DIRECTORY', message }, JSON.stringify(text))
  }
})

test('partition.metadata and the clean-shutdown mark, damaged', async t => {
  t.throws(() => parsePartitionMetadata('version: 1\ntopic_id: x', 'p'), {
    code: 'ERR_LOG_CORRUPT',
    message: /^p, line 1/
  })
  t.throws(() => parsePartitionMetadata('version: 0\ntopic_id: x', 'p'), {
    code: 'ERR_LOG_CORRUPT',
    message: /^p, line 2/
  })
  t.throws(() => parsePartitionMetadata('', 'p'), { code: 'ERR_LOG_CORRUPT' })
  t.equal(parseCleanShutdown(''), -1, 'an older Kafka writes an empty file')
  t.equal(parseCleanShutdown('{"version":0}'), -1)
  t.equal(parseCleanShutdown('{"brokerEpoch":"x"}'), -1)
})

test('names of partition directories', async t => {
  const uniqueHex = '146a30c61d9348288d52784160f59dec'
  t.equal(partitionName({ topic: 'orders', partition: 3 }), 'orders-3')
  t.equal(fateName({ topic: 'doomed', partition: 0 }, 'delete', uniqueHex), `doomed-0.${uniqueHex}-delete`)
  const long = fateName({ topic: 'x'.repeat(249), partition: 12 }, 'delete', uniqueHex)
  t.equal(long.length, 255, 'a long topic is cut: the name must fit')
  t.match(parseDirectoryName(long), { partition: 12, fate: 'delete' })
  const parsed: [string, unknown][] = [
    ['orders-3', { topic: 'orders', partition: 3, fate: null }],
    ['a-b.c-1-10', { topic: 'a-b.c-1', partition: 10, fate: null }],
    [`doomed-0.${uniqueHex}-delete`, { topic: 'doomed', partition: 0, fate: 'delete' }],
    [`doomed-0.${uniqueHex}-stray`, { topic: 'doomed', partition: 0, fate: 'stray' }],
    ['lost+found', null],
    ['orders', null],
    ['orders-', null],
    ['-1', null],
    ['orders-01', null],
    ['orders-99999999999', null],
    ['remote-log-index-cache', null]
  ]
  for (const [name, expected] of parsed) t.same(parseDirectoryName(name), expected, name)
})
