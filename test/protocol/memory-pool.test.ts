// Pooled memory: held, it is nobody's to fill; let go by the last, it is filled anew; lent, never.
import fc from 'fast-check'
import { test } from 'tap'
import { Holds, MemoryPool, type Slab } from '../../protocol/memory-pool.ts'

const MIB = 1024 * 1024

function slabOf(pool: MemoryPool, bytes: Buffer): Slab {
  const slab = pool.slabOf(bytes)
  if (slab === null) throw new Error('not pooled')
  return slab
}

test('bytes that are held keep what they are, whatever else is taken and let go', async t => {
  const sizes = fc.oneof(fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 1, max: 3 * MIB }))
  const steps = fc.array(fc.record({ size: sizes, letGo: fc.nat(10) }), { minLength: 1, maxLength: 60 })
  fc.assert(
    fc.property(steps, list => {
      const pool = new MemoryPool()
      pool.isPoisonous = true
      const held: { bytes: Buffer; mark: number }[] = []
      for (const [index, { size, letGo }] of list.entries()) {
        const bytes = pool.take(size)
        if (bytes.length !== size) return false
        bytes.fill(index & 0x7f)
        held.push({ bytes, mark: index & 0x7f })
        for (let count = 0; count < letGo && held.length > 3; count++) {
          const [gone] = held.splice((index * 7 + count) % held.length, 1)
          if (gone) slabOf(pool, gone.bytes).letGo()
        }
        if (!held.every(each => each.bytes[0] === each.mark && each.bytes.at(-1) === each.mark)) return false
      }
      return true
    }),
    { numRuns: 60 }
  )
  t.pass('as they were')
})

test('memory is used again, and not more is kept idle than is allowed', async t => {
  const pool = new MemoryPool()
  for (let round = 0; round < 1000; round++) slabOf(pool, pool.take(400_000)).letGo()
  t.ok(pool.sizeInBytes <= 3 * 2 * MIB, `${pool.sizeInBytes} bytes for one frame at a time`)
  const many = Array.from({ length: 100 }, () => pool.take(MIB))
  for (const each of many) slabOf(pool, each).letGo()
  t.ok(pool.idleBytes <= 32 * MIB && pool.sizeInBytes <= 34 * MIB, `${pool.idleBytes} of ${pool.sizeInBytes}`)
  const before = pool.sizeInBytes
  slabOf(pool, pool.take(MIB)).letGo()
  t.equal(pool.sizeInBytes, before, 'one of those that were idle')
  const { idleBytes } = pool
  pool.letGo(pool.take(40 * MIB))
  t.equal(pool.idleBytes, idleBytes, 'one that is larger than all that drives nothing out')
})

test('what is lent is never filled anew', async t => {
  const pool = new MemoryPool()
  pool.isPoisonous = true
  const bytes = pool.take(MIB).fill(7)
  const slab = slabOf(pool, bytes)
  slab.lend()
  slab.letGo()
  t.equal(pool.slabOf(bytes), null, 'the pool knows it no more')
  t.equal(pool.sizeInBytes, 0)
  pool.take(MIB).fill(8)
  t.ok(bytes.every(byte => byte === 7))
})

test('holds are let go together, once', async t => {
  const pool = new MemoryPool()
  pool.isPoisonous = true
  const bytes = pool.take(MIB).fill(7)
  const slab = slabOf(pool, bytes)
  const holds = new Holds()
  holds.add(slab)
  holds.add(slab)
  slab.letGo()
  t.equal(bytes[0], 7, 'held')
  holds.letGo()
  holds.letGo()
  t.equal(bytes[0], 0xdd, 'free')
  t.throws(() => slab.letGo(), 'nobody holds it')
})

test('who is slow leaves a full slab', async t => {
  const pool = new MemoryPool()
  const slow = pool.take(100)
  let left = 0
  const leave = (): void => {
    left++
    slabOf(pool, slow).letGo()
  }
  pool.onFull(leave)
  for (let taken = 0; taken < 30; taken++) slabOf(pool, pool.take(400_000)).letGo()
  t.equal(left, 1, 'told once')
  t.ok(pool.sizeInBytes <= 2 * 2 * MIB, 'and the slab went round')
})
