// Goal: the mark of a failed sync outlives every crash until the copy is durable, and none after that.
import { test } from 'tap'
import { MemoryFiles } from '../../storage/files-memory.ts'
import { Suspects } from '../../storage/suspects.ts'

const PLACES = ['/data', '/elsewhere']
const DIRECTORY_ID = 'AAAAAAAAAAAAAAAAAAAAAw'
const SUSPECT = { topic: 'orders', partition: 0, durableEndOffset: 7, reason: 'EIO' }
const dice = { below: () => 0 }

async function disk(): Promise<MemoryFiles> {
  const files = new MemoryFiles()
  for (const place of PLACES) await files.mkdir(place)
  await files.syncDirectory('/')
  return files
}

test('a mark is there after a power failure, and gone for good when it was cleared', async t => {
  const files = await disk()
  const suspects = new Suspects(files, PLACES, DIRECTORY_ID)
  t.ok(await suspects.mark(SUSPECT))
  const marked = files.crash(dice, 'drop')
  const found = await Suspects.load(marked, PLACES, DIRECTORY_ID)
  t.match(found.all, [SUSPECT])
  await found.clear('orders-0')
  t.same((await Suspects.load(marked, PLACES, DIRECTORY_ID)).all, [])
  const cleared = marked.crash(dice, 'drop')
  t.same((await Suspects.load(cleared, PLACES, DIRECTORY_ID)).all, [], 'it does not come back')
})

test('a place that cannot be written does not keep the mark from the others', async t => {
  const files = await disk()
  files.inject({ operation: 'open', path: '/data/', code: 'EIO' })
  const suspects = new Suspects(files, PLACES, DIRECTORY_ID)
  t.ok(await suspects.mark(SUSPECT))
  t.match((await Suspects.load(files.crash(dice, 'drop'), PLACES, DIRECTORY_ID)).all, [SUSPECT])
})

test('a mark on a disk without room is an empty one, for every log; when there is room each has its own', async t => {
  const files = await disk()
  for (const name of ['orders-0', 'orders-1', 'gone-0.4711-delete']) await files.mkdir(`/data/${name}`)
  await files.syncDirectory('/data')
  files.totalBytes = files.usedBytes
  const suspects = new Suspects(files, PLACES, DIRECTORY_ID)
  t.ok(await suspects.mark(SUSPECT))
  const full = files.crash(dice, 'drop')
  full.totalBytes = full.usedBytes
  const found = await Suspects.load(full, PLACES, DIRECTORY_ID)
  t.same(
    found.all.map(each => `${each.topic}-${each.partition}`),
    ['orders-0', 'orders-1']
  )
  await found.clear('orders-0')
  const roomy = full.crash(dice, 'drop')
  const still = await Suspects.load(roomy, PLACES, DIRECTORY_ID)
  t.ok(still.has('orders-0') && still.has('orders-1'), 'there was no room to say less')
  roomy.totalBytes = MemoryFiles.UNLIMITED_BYTES
  const later = await Suspects.load(roomy, PLACES, DIRECTORY_ID)
  await later.clear('orders-0')
  const last = roomy.crash(dice, 'drop')
  const one = await Suspects.load(last, PLACES, DIRECTORY_ID)
  t.same(
    one.all.map(each => each.partition),
    [1]
  )
  await one.clear('orders-1')
  const none = last.crash(dice, 'drop')
  t.same((await Suspects.load(none, PLACES, DIRECTORY_ID)).all, [])
  t.same(
    (await none.readdir('/data')).filter(name => name.includes('suspect') && !name.endsWith('.tmp')),
    []
  )
})
