// Goal: the checks at the end of a soak see what they are for. Each wrong that they speak of is planted here.
import { mkdirSync, writeFileSync } from 'node:fs'
import { test } from 'tap'
import { checkCopies, checkPartition } from '../../scripts/soak-real-check.ts'
import { idOf, Notes, TOPIC } from '../../scripts/soak-real-load.ts'

/** A partition with two producers: what was acknowledged, what lies in the log, what the group has read. */
function sound() {
  const notes = new Notes(1)
  const ids = [idOf(0, 0), idOf(0, 1), idOf(1, 0), idOf(0, 2), idOf(1, 5)]
  notes.ack(0, { baseOffset: 0, firstId: idOf(0, 0), count: 2 })
  notes.ack(0, { baseOffset: 2, firstId: idOf(1, 0), count: 1 })
  notes.ack(0, { baseOffset: 3, firstId: idOf(0, 2), count: 1 })
  for (const [offset, id] of ids.entries()) notes.consumed[0]?.set(offset, id)
  return { notes, ids }
}

test('what is wrong at the end of a soak is seen', async t => {
  const { notes, ids } = sound()
  t.same(checkPartition(0, ids, notes), [], 'records of unknown end may be there, and numbers may be skipped')
  const change = (fn: (world: ReturnType<typeof sound>) => void): string[] => {
    const world = sound()
    fn(world)
    return checkPartition(0, world.ids, world.notes)
  }
  t.match(change(({ ids }) => ids.splice(3)).join(), /was acked at 3, where undefined is/, 'lost')
  t.match(change(({ ids }) => ids.splice(2, 1)).join(), /was acked at 2, where 2 is/, 'moved')
  t.match(change(({ ids }) => ids.push(idOf(0, 1))).join(), /@5: 1 of producer 0 comes after 2/, 'twice')
  t.match(change(({ ids }) => ids.push(idOf(1, 3))).join(), /@5: .* of producer 1 comes after/, 'out of order')
  t.match(change(({ notes }) => notes.consumed[0]?.delete(4)).join(), /@4: no consumer of the group has read it/)
  t.match(change(({ notes }) => notes.consumed[0]?.set(4, 9)).join(), /@4: a consumer read 9, the log has/)
  t.match(change(({ notes }) => notes.consumed[0]?.set(5, 9)).join(), /@5: a consumer read 9, the log has undefined/)
})

test('copies that differ by a byte are seen, however their segments are cut', async t => {
  const directory = t.testdir()
  const copy = (node: number, ...segments: string[]): string => {
    const folder = `${directory}/${node}/${TOPIC}-0`
    mkdirSync(folder, { recursive: true })
    segments.forEach((text, index) => {
      writeFileSync(`${folder}/${String(index).padStart(20, '0')}.log`, text)
    })
    writeFileSync(`${folder}/${'0'.padStart(20, '0')}.index`, `${node}`)
    return `${directory}/${node}`
  }
  const [one, two, three] = [copy(1, 'abc', 'def'), copy(2, 'abcd', 'ef'), copy(3, 'abc', 'deF')]
  t.same(checkCopies([one, two], 0), [])
  t.match(checkCopies([one, two, three], 0).join(), /the copies on nodes 1 and 3 differ \(6 and 6 bytes\)/)
})
